import { connect } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../logging/index.ts';
import { createMetrics, type Metrics, opsCatalogue } from '../metrics/index.ts';
import { jsonBody, web } from './index.ts';

let app: FastifyInstance;
let port: number;
let metrics: Metrics;
let lines: { level: string; event: string; metadata: { status?: number } }[];
let begun: () => void;
let release: () => void;

beforeEach(async () => {
  lines = [];
  metrics = createMetrics({ enabled: true, catalogue: opsCatalogue(), queues: [], version: 'test', commit: 'test' });
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const named = { service: 'test', version: 'test', instance: 'test', bootId: 'boot' };
  const log = createLogger({ level: 'info', format: 'json', ...named, sampleRate: 1, destination });
  app = fastify({ forceCloseConnections: true });
  jsonBody(app);
  web(app, { log, metrics, authorize: () => undefined });
  const released = new Promise<void>((resolve) => (release = resolve));
  app.route({
    method: ['GET', 'POST'],
    url: '/slow',
    config: { access: 'public' },
    handler: async () => {
      begun();
      await released;
      return { ok: true };
    },
  });
  port = Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port);
});
afterEach(() => app.close());

const counted = (method: string, status: string) =>
  metrics.value('http_request_duration_ms', { method, route: '/slow', status }) ?? 0;

describe('a caller who hangs up', () => {
  it.each(['GET', 'POST'])('during the work of a %s counts once, as 499', async (method) => {
    const working = new Promise<void>((resolve) => (begun = resolve));
    const body = method === 'POST' ? 'content-type: application/json\r\ncontent-length: 2\r\n\r\n{}' : '\r\n';
    const socket = connect(port, '127.0.0.1', () => socket.write(`${method} /slow HTTP/1.1\r\nhost: x\r\n${body}`));
    await working;
    socket.destroy();
    await vi.waitFor(async () => {
      const open = await new Promise<number>((resolve) => app.server.getConnections((_, count) => resolve(count)));
      expect(open).toBe(0);
    });
    release();
    await vi.waitFor(() => expect(counted(method, '499')).toBe(1));
    expect(counted(method, '200')).toBe(0);
    expect(lines.filter(({ event }) => event === 'http_request')).toHaveLength(1);
  });

  it('in the middle of a body counts once, as 499, and is no error', async () => {
    const head = 'POST /slow HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n';
    const arrived = new Promise((resolve) => app.server.once('request', resolve));
    const socket = connect(port, '127.0.0.1', () => socket.write(`${head}{"half`));
    await arrived;
    socket.destroy();
    await vi.waitFor(() => expect(counted('POST', '499')).toBe(1));
    expect(lines.map(({ event, metadata }) => [event, metadata.status])).toEqual([['http_request', 499]]);
  });
});
