import { Agent, get } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import fastify from 'fastify';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../logging/index.ts';
import { gracefulClose, type GracefulCloseOptions, serverErrors } from './index.ts';

async function open(options: Partial<GracefulCloseOptions> = {}) {
  const named = { service: 'test', version: 'test', instance: 'test', bootId: 'boot' };
  const log = createLogger({ level: 'info', format: 'json', ...named, destination: { write() {} } });
  const app = fastify({ ...serverErrors(log), forceCloseConnections: 'idle' });
  gracefulClose(app, { isDraining: () => false, ...options });
  app.get<{ Params: { ms: string } }>('/slow/:ms', async (request) => {
    await wait(Number(request.params.ms));
    return 'done';
  });
  return { app, port: Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port) };
}

/** Status, or the code of the error, and whether the connection stays. */
function ask(port: number, agent: Agent, ms: number): Promise<{ result: string; stays: boolean }> {
  return new Promise((resolve) => {
    const request = get({ port, host: '127.0.0.1', agent, path: `/slow/${ms}` }, (answer) => {
      answer.resume().once('end', () => {
        resolve({ result: String(answer.statusCode), stays: answer.headers.connection !== 'close' });
      });
    });
    request.once('error', (error: NodeJS.ErrnoException) => resolve({ result: error.code ?? 'error', stays: false }));
  });
}

describe('a server that closes', () => {
  it('fails no request of callers that never pause; at last it takes no new connections', async () => {
    const { app, port } = await open();
    const results: string[] = [];
    const caller = async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (!results.includes('ECONNREFUSED')) results.push((await ask(port, agent, 3)).result);
      agent.destroy();
    };
    const callers = Array.from({ length: 6 }, caller);
    await wait(100);
    await app.close();
    await Promise.all(callers);
    expect(new Set(results)).toEqual(new Set(['200', 'ECONNREFUSED']));
    expect(results.length).toBeGreaterThan(50);
  });

  it('answers what is under way when the listener has gone', async () => {
    const { app, port } = await open({ noticeMs: 10 });
    const late = ask(port, new Agent({ keepAlive: true }), 300);
    await new Promise((resolve) => app.server.once('request', resolve));
    await app.close();
    expect((await late).result).toBe('200');
  });

  it('asks callers to connect anew from the signal on', async () => {
    let draining = false;
    const { app, port } = await open({ isDraining: () => draining, noticeMs: 0 });
    const agent = new Agent({ keepAlive: true });
    expect(await ask(port, agent, 0)).toEqual({ result: '200', stays: true });
    draining = true;
    expect(await ask(port, agent, 0)).toEqual({ result: '200', stays: false });
    await app.close();
  });

  it('does not wait for connections that say nothing, nor for ever for a request', async () => {
    const { app, port } = await open({ noticeMs: 0, silentMs: 20, requestMs: 100 });
    const endless = ask(port, new Agent(), 1_000_000);
    await new Promise((resolve) => app.server.once('request', resolve));
    const accepted = new Promise((resolve) => app.server.once('connection', resolve));
    const silent = connect(port, '127.0.0.1');
    const ended = new Promise((resolve) => silent.once('close', resolve));
    await accepted;
    await app.close();
    await ended;
    expect((await endless).result).toBe('ECONNRESET');
  });
});
