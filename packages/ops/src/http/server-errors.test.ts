import { connect } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../logging/index.ts';
import { serverErrors } from './index.ts';

let app: FastifyInstance;
let port: number;

beforeAll(async () => {
  const named = { service: 'test', version: 'test', instance: 'test', bootId: 'boot' };
  const log = createLogger({ level: 'info', format: 'json', ...named, destination: { write() {} } });
  app = fastify({ ...serverErrors(log), forceCloseConnections: true });
  app.post('/things/:id', async () => ({}));
  port = Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port);
});
afterAll(() => app.close());

/** Sends it as it is, and answers what comes until the server ends the connection. */
function exchange(request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.on('data', (part) => (answer += part.toString()));
    socket.on('end', () => resolve(answer)).on('error', reject);
  });
}

const post = (path: string, more = '') => `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${more}\r\n`;

describe("a server's own errors", () => {
  it.each([
    ['a path that cannot be decoded', post('/things/%zzsecret'), 400, 'validation_failed'],
    ['an id longer than any', post(`/things/secret${'x'.repeat(200)}`), 400, 'validation_failed'],
    ['what is not HTTP', 'secret\r\n\r\n', 400, 'validation_failed'],
    [
      'a broken chunk',
      post('/things/1', 'content-type: application/json\r\ntransfer-encoding: chunked\r\n').concat('secret\r\n'),
      400,
      'validation_failed',
    ],
    ['endless headers', post('/things/1', `x-secret: ${'x'.repeat(20_000)}\r\n`), 431, 'headers_too_large'],
  ])('have the one shape for %s, and repeat nothing of it', async (_what, request, status, code) => {
    const [head = '', body = ''] = (await exchange(request)).split('\r\n\r\n');
    expect(head.split(' ')[1]).toBe(String(status));
    const problem = JSON.parse(body) as Record<string, unknown>;
    expect(problem).toMatchObject({ code, error: expect.any(String) });
    expect(head).toContain(`x-correlation-id: ${String(problem.correlation_id)}`);
    expect(Object.keys(problem)).not.toContain('statusCode');
    expect(body).not.toContain('secret');
  });
});
