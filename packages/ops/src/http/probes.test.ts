import fastify from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { createHealth } from '../health/index.ts';
import { runWithContext } from '../logging/index.ts';
import { createMetrics, opsCatalogue } from '../metrics/index.ts';
import { PortTaken, type ProbeListener, type ProbeOptions, probeListener, probes } from './probes.ts';

const paths = ['/health', '/health/live', '/health/ready', '/health/serving', '/metrics'];

function parts({ enabled = true, redis = async () => {} } = {}) {
  const health = createHealth({ checks: { database: async () => {}, redis, queue: async () => ({ depth: 0 }) } });
  const metrics = createMetrics({
    enabled,
    catalogue: opsCatalogue(),
    queues: ['email_send'],
    version: '1',
    commit: 'c',
  });
  return { health, metrics };
}

function open(options: Partial<ProbeOptions> = {}, made = parts()) {
  const app = fastify();
  app.register(probes, { ...made, ...options });
  made.health.markStarted();
  return { app, ...made };
}

describe('the probes', () => {
  it('answer with the codes of the health and are not stored by anyone', async () => {
    const refused = async () => {
      throw new Error('Connection is closed.');
    };
    const { app } = open({ needs: ['database'] }, parts({ redis: refused }));
    const answers = await Promise.all(paths.map((path) => app.inject(path)));
    expect(answers.map((answer) => answer.statusCode)).toEqual([503, 200, 503, 200, 200]);
    for (const answer of answers) expect(answer.headers['cache-control']).toBe('no-store');
    expect(answers[1]?.json()).toEqual({ status: 'alive', uptime_s: 0 });
  });

  it('expose metrics in the content type scrapers expect', async () => {
    const { app } = open();
    const answer = await app.inject('/metrics');
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.body).toContain('fmhl_jobs_completed_total{queue="email_send"} 0');
  });

  it('have no /metrics when metrics are off; health stays', async () => {
    const { app } = open({}, parts({ enabled: false }));
    expect((await app.inject('/metrics')).statusCode).toBe(404);
    expect((await app.inject('/health/ready')).statusCode).toBe(200);
  });
});

describe('the guarded probes', () => {
  it.each([
    ['127.0.0.1', 200],
    ['::1', 200],
    ['::ffff:127.0.0.1', 200],
    ['127.8.8.8', 200],
    ['10.0.0.1', 404],
    ['::ffff:10.0.0.1', 404],
    ['192.168.1.1', 404],
    ['2001:db8::1', 404],
  ])('answer %s with %i by default', async (remoteAddress, status) => {
    const { app } = open({ guarded: true });
    for (const url of paths) expect((await app.inject({ url, remoteAddress })).statusCode).toBe(status);
  });

  it('answer the networks named', async () => {
    const { app } = open({ guarded: true, allowedNetworks: ['10.1.0.0/16', 'fd00::/8', '192.0.2.7'] });
    const codes = ['10.1.255.1', '::ffff:10.1.0.9', '10.2.0.1', 'fd12::1', '192.0.2.7', '192.0.2.8', '127.0.0.1'].map(
      async (remoteAddress) => (await app.inject({ url: '/metrics', remoteAddress })).statusCode,
    );
    expect(await Promise.all(codes)).toEqual([200, 200, 404, 200, 200, 404, 404]);
  });

  it.each([
    'forwarded',
    'via',
    'x-forwarded-for',
    'X-Forwarded-Host',
    'x-forwarded-proto',
    'X-Real-IP',
    'cf-connecting-ip',
    'True-Client-IP',
  ])('refuse whatever came with %s', async (header) => {
    const { app } = open({ guarded: true });
    const answer = await app.inject({
      url: '/metrics',
      remoteAddress: '127.0.0.1',
      headers: { [header]: '127.0.0.1' },
    });
    expect(answer.statusCode).toBe(404);
  });

  it.each([
    ['127.0.0.1:3000', 200],
    ['[::1]:3000', 200],
    ['10.0.0.7', 200],
    ['LOCALHOST:3000', 200],
    ['fmhl.internal:3000', 200],
    ['rebound.example.com:3000', 404],
    ['127.0.0.1.example.com', 404],
    ['localhost.example.com', 404],
    ['fmhl.internal.example.com', 404],
  ])('asked as %o answer %i: a name of strangers may lead to any address', async (host, status) => {
    const { app } = open({ guarded: true, allowedHosts: ['fmhl.Internal'] });
    for (const url of paths) expect((await app.inject({ url, headers: { host } })).statusCode).toBe(status);
  });

  it('answer nobody where no network is named', async () => {
    const { app } = open({ guarded: true, allowedNetworks: [] });
    for (const url of paths) expect((await app.inject(url)).statusCode).toBe(404);
  });

  it('refuse in the words of a path that does not exist', async () => {
    const { app } = open({ guarded: true });
    const answer = await runWithContext({ correlationId: 'request-1' }, () =>
      app.inject({ url: '/metrics', remoteAddress: '10.0.0.1' }),
    );
    expect(answer.json()).toEqual({
      error: 'Not found',
      code: 'not_found',
      correlation_id: expect.stringMatching(/^.{8,64}$/),
    });
  });

  it.each(['10.0.0.0/33', 'nonsense', '10.0.0.0/', '::/129', '1.2.3.4/8/9', ''])(
    'refuse to start with the network %o',
    async (network) => {
      const { app } = open({ guarded: true, allowedNetworks: [network] });
      await expect(app.ready()).rejects.toThrow(RangeError);
    },
  );
});

describe('the listener', () => {
  const listeners: ProbeListener[] = [];
  const listen = (port: number) => {
    const listener = probeListener({ host: '127.0.0.1', port, ...parts() });
    listeners.push(listener);
    return listener;
  };
  afterEach(() => Promise.all(listeners.splice(0).map((listener) => listener.stop())));

  it('serves on a port of its own and closes with connections open', async () => {
    const listener = listen(0);
    const { port } = await listener.start();
    const answer = await fetch(`http://127.0.0.1:${port}/health/live`);
    expect(await answer.json()).toMatchObject({ status: 'alive' });
    const missing = await fetch(`http://127.0.0.1:${port}/other`);
    expect(missing.status).toBe(404);
    expect(await missing.json()).toMatchObject({ code: 'not_found' });
    await listener.stop();
    await listener.stop();
    await expect(fetch(`http://127.0.0.1:${port}/health/live`)).rejects.toThrow();
  });

  it('says which port is taken', async () => {
    const { port } = await listen(0).start();
    const refusal = await listen(port)
      .start()
      .catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(PortTaken);
    expect(refusal).toMatchObject({ host: '127.0.0.1', port });
  });

  it('may be stopped before it started', async () => {
    await listen(0).stop();
  });
});
