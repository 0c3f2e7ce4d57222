import { describe, expect, it, vi } from 'vitest';
import { createMetrics, opsCatalogue } from '../metrics/index.ts';
import { createHealth, failureOf, type HealthChange, type HealthOptions } from './index.ts';

const hang = (): Promise<void> => new Promise<never>(() => {});
const refuse = async (): Promise<void> => {
  throw Object.assign(new Error('connect ECONNREFUSED 10.0.0.9:5432'), { code: 'ECONNREFUSED' });
};
const fine = async () => {};
const calm = async () => ({ depth: 10 });

function open(checks: HealthOptions['checks'] = {}, options: Partial<HealthOptions> = {}) {
  const health = createHealth({
    timeoutMs: 30,
    ...options,
    checks: { database: fine, redis: fine, queue: calm, ...checks },
  });
  health.markStarted();
  return health;
}

const latency = expect.any(Number);

describe('the frozen bodies', () => {
  it('healthy', async () => {
    expect(await open().ready()).toEqual({
      code: 200,
      body: {
        status: 'healthy',
        checks: {
          database: { status: 'up', latency_ms: latency },
          redis: { status: 'up', latency_ms: latency },
          queue: { status: 'up', depth: 10 },
        },
      },
    });
  });

  it('degraded by a deep queue, which is no reason for 503', async () => {
    const health = open({ queue: async () => ({ depth: 450, oldest_age_s: 310, degraded: true }) });
    expect(await health.ready()).toEqual({
      code: 200,
      body: {
        status: 'degraded',
        checks: {
          database: { status: 'up', latency_ms: latency },
          redis: { status: 'up', latency_ms: latency },
          queue: { status: 'degraded', depth: 450, oldest_age_s: 310 },
        },
      },
    });
  });

  it('unhealthy when one is down, with the kind of failure and nothing of its text', async () => {
    const { code, body } = await open({ database: hang, redis: refuse }).ready();
    expect(code).toBe(503);
    expect(body.status).toBe('unhealthy');
    expect(body.checks.database).toEqual({ status: 'down', latency_ms: latency, error: 'timeout' });
    expect(body.checks.redis).toEqual({ status: 'down', latency_ms: latency, error: 'refused' });
    expect(body.checks.queue).toEqual({ status: 'up', depth: 10 });
    expect(JSON.stringify(body)).not.toContain('10.0.0.9');
  });

  it('starting, then shutting down for good', async () => {
    const health = createHealth({ checks: { database: fine } });
    const starting = { code: 503, body: { status: 'starting', checks: {} } };
    expect([await health.ready(), await health.serving(['database'])]).toEqual([starting, starting]);
    health.markStarted();
    expect((await health.ready()).code).toBe(200);
    health.markDraining();
    health.markStarted();
    const draining = { code: 503, body: { status: 'shutting_down', checks: {} } };
    expect([await health.ready(), await health.serving(['database'])]).toEqual([draining, draining]);
    expect(health.live().code).toBe(200);
  });

  it('alive, whatever the dependencies do', () => {
    let at = 0;
    const health = open({ database: hang }, { now: () => at });
    at = 123_900;
    expect(health.live()).toEqual({ code: 200, body: { status: 'alive', uptime_s: 123 } });
  });
});

describe('serving', () => {
  it('looks only at what the role needs, without waiting for the rest', async () => {
    const redis = vi.fn(hang);
    const { code, body } = await open({ redis }, { timeoutMs: 60_000 }).serving(['database']);
    expect(code).toBe(200);
    expect(Object.keys(body.checks)).toEqual(['database']);
    expect(redis).not.toHaveBeenCalled();
  });

  it('is 503 when a needed one is down', async () => {
    expect((await open({ database: refuse }).serving(['database', 'redis'])).code).toBe(503);
  });
});

describe('checks', () => {
  it('run at once, in parallel, and are shared by simultaneous callers', async () => {
    const database = vi.fn(fine);
    const health = open({ database });
    await Promise.all([health.ready(), health.ready(), health.serving(['database'])]);
    await health.ready();
    expect(database).toHaveBeenCalledTimes(1);
  });

  it('answer from the cache for two seconds and renew behind the answer before', async () => {
    let at = 0;
    let check = fine;
    const health = open({ database: () => check() }, { now: () => at });
    await health.ready();
    check = refuse;
    at = 400;
    expect((await health.ready()).code).toBe(200);
    at = 600;
    expect((await health.ready()).code).toBe(200);
    await vi.waitFor(async () => expect((await health.ready()).code).toBe(503));
    check = fine;
    at = 2_700;
    expect((await health.ready()).code).toBe(200);
  });

  it.each([
    ['refuses', refuse],
    ['hangs', hang],
  ])('show within two seconds to a poller that a dependency %s', async (_, stopped) => {
    let check: () => Promise<void> = fine;
    const health = open({ database: () => check() }, { timeoutMs: 1_000 });
    await health.ready();
    check = stopped;
    await vi.waitFor(async () => expect((await health.ready()).code).toBe(503), { timeout: 2_000, interval: 20 });
  });

  it('show a recovery within two seconds', async () => {
    let check = refuse;
    const health = open({ database: () => check() }, { timeoutMs: 1_000 });
    await health.ready();
    check = fine;
    await vi.waitFor(async () => expect((await health.ready()).code).toBe(200), { timeout: 2_000, interval: 20 });
  });

  it('do not pile calls on a dependency that hangs, and give a lost call up in the end', async () => {
    let at = 0;
    const database = vi.fn(hang);
    const health = open({ database }, { cacheMs: 0, now: () => at });
    for (let n = 0; n < 3; n += 1) expect((await health.ready()).code).toBe(503);
    expect(database).toHaveBeenCalledTimes(1);
    at = 1_000;
    database.mockImplementation(fine);
    expect((await health.ready()).code).toBe(200);
  });

  it('may throw at once', async () => {
    const health = open({
      database: () => {
        throw new Error('no');
      },
    });
    expect((await health.ready()).body.checks.database).toMatchObject({ status: 'down', error: 'error' });
  });

  it('add details only where asked', async () => {
    const health = open({ redis: async () => ({ details: { memory_bytes: 5, aof: true } }) });
    expect((await health.ready()).body.checks.redis).toEqual({ status: 'up', latency_ms: latency });
    expect((await health.ready({ details: true })).body.checks.redis).toMatchObject({ memory_bytes: 5, aof: true });
  });

  it('announce each change once, and a first result only if it is not up', async () => {
    const changes: HealthChange[] = [];
    let check = fine;
    const health = open({ database: () => check() }, { cacheMs: 0, onChange: (change) => changes.push(change) });
    await health.ready();
    check = refuse;
    await health.ready();
    await health.ready();
    check = fine;
    await health.ready();
    expect(changes).toEqual([
      { check: 'database', from: 'up', to: 'down', error: 'refused' },
      { check: 'database', from: 'down', to: 'up' },
    ]);
  });

  it('are gauges on scrape, degraded still up', async () => {
    const metrics = createMetrics({ enabled: true, catalogue: opsCatalogue(), queues: [], version: '1', commit: 'c' });
    open({ redis: hang, queue: async () => ({ depth: 900, degraded: true }) }, { metrics });
    const text = await metrics.render();
    expect(text).toContain('fmhl_health_check_up{check="database"} 1\n');
    expect(text).toContain('fmhl_health_check_up{check="redis"} 0\n');
    expect(text).toContain('fmhl_health_check_up{check="queue"} 1\n');
    expect(text).toMatch(/^fmhl_health_check_latency_ms\{check="redis"\} \d+$/m);
    expect(text).toContain('fmhl_metrics_collect_errors_total{collector="health"} 0\n');
  });
});

describe('failureOf', () => {
  it.each([
    [{ code: 'ECONNREFUSED', message: '' }, 'refused'],
    [{ code: '57P03', message: 'the database system is starting up' }, 'refused'],
    [new Error('Connection is closed.'), 'refused'],
    [new AggregateError([Object.assign(new Error('x'), { code: 'ECONNREFUSED' })]), 'refused'],
    [{ code: '28P01', message: 'password authentication failed' }, 'auth'],
    [new Error('WRONGPASS invalid username-password pair'), 'auth'],
    [new Error('timeout exceeded when trying to connect'), 'timeout'],
    [{ code: '57014', message: 'canceling statement due to statement timeout' }, 'timeout'],
    [new TypeError('x is not a function'), 'error'],
    [undefined, 'error'],
  ])('%o is %s', (thrown, kind) => {
    expect(failureOf(thrown)).toBe(kind);
  });
});
