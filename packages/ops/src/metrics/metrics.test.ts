import { describe, expect, it, vi } from 'vitest';
import {
  bucketsOf,
  createMetrics,
  defineMetrics,
  type Metrics,
  type MetricsOptions,
  metricsReference,
  type OpsCatalogue,
  opsCatalogue,
} from './index.ts';

const queues = ['distribute_lead', 'email_send'];

function open(options: Partial<MetricsOptions<OpsCatalogue>> = {}) {
  return createMetrics({
    enabled: true,
    catalogue: opsCatalogue(),
    queues,
    version: '1.4.0',
    commit: 'abc',
    ...options,
  });
}

const linesOf = (text: string, name: string) => text.split('\n').filter((line) => line.startsWith(name));

describe('instruments', () => {
  it('starts every known label set of a counter at 0', async () => {
    const text = await open().render();
    expect(linesOf(text, 'fmhl_jobs_completed_total')).toEqual([
      'fmhl_jobs_completed_total{queue="distribute_lead"} 0',
      'fmhl_jobs_completed_total{queue="email_send"} 0',
    ]);
    expect(text).toContain('fmhl_jobs_dead_lettered_total{queue="email_send",reason="exhausted"} 0');
    expect(text).toContain('fmhl_job_duration_ms_count{queue="email_send"} 0');
    expect(text).toContain('fmhl_logs_suppressed_total{reason="sampled"} 0');
  });

  it('exposes no gauge before it is set, labelled or not, nor a counter that mirrors shared state', async () => {
    const metrics = open();
    metrics.gauge('queue_depth').labels({ queue: 'email_send' });
    const text = await metrics.render();
    expect(text).not.toContain('fmhl_queue_depth');
    expect(text).not.toContain('fmhl_redis_memory_used_bytes');
    expect(text).not.toContain('fmhl_redis_evicted_keys_total');
  });

  it('counts by bound children, and ignores steps that would lie', async () => {
    const metrics = open();
    const completed = metrics.counter('jobs_completed_total').labels({ queue: 'email_send' });
    completed.inc();
    completed.inc(4);
    completed.inc(-1);
    completed.inc(Number.NaN);
    expect(metrics.value('jobs_completed_total', { queue: 'email_send' })).toBe(5);
    expect(await metrics.render()).toContain('fmhl_jobs_completed_total{queue="email_send"} 5\n');
  });

  it('cumulates buckets, the edge belonging to its own bucket', async () => {
    const metrics = open();
    const wait = metrics.histogram('pg_pool_wait_ms');
    for (const ms of [0, 5, 5.1, 40_000, Number.NaN]) wait.observe(ms);
    const text = await metrics.render();
    expect(text).toContain('fmhl_pg_pool_wait_ms_bucket{le="5"} 2\n');
    expect(text).toContain('fmhl_pg_pool_wait_ms_bucket{le="10"} 3\n');
    expect(text).toContain('fmhl_pg_pool_wait_ms_bucket{le="30000"} 3\n');
    expect(text).toContain('fmhl_pg_pool_wait_ms_bucket{le="+Inf"} 4\n');
    expect(text).toContain('fmhl_pg_pool_wait_ms_sum 40010.1\nfmhl_pg_pool_wait_ms_count 4\n');
    expect(metrics.value('pg_pool_wait_ms')).toBe(4);
  });

  it('says what runs, and how the process does', async () => {
    const text = await open().render();
    expect(text).toContain('fmhl_build_info{version="1.4.0",commit="abc"} 1\n');
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
    expect(text).toMatch(/^process_cpu_seconds_total /m);
  });

  it('escapes what labels may hold', async () => {
    const metrics = open();
    metrics.gauge('worker_last_tick_timestamp_seconds').labels({ worker: 'a"b\\c\nd' }).set(1);
    expect(await metrics.render()).toContain('{worker="a\\"b\\\\c\\nd"} 1\n');
  });

  it('takes the prefix of the host', async () => {
    const metrics = open({ catalogue: opsCatalogue('shop_') });
    const text = await metrics.render();
    expect(text).toContain('shop_jobs_completed_total');
    expect(text).not.toContain('fmhl_');
  });
});

describe('cardinality', () => {
  it('calls other what is outside a closed set', async () => {
    const metrics = open();
    metrics.counter('jobs_completed_total').labels({ queue: 'ann@example.com' }).inc();
    expect(metrics.value('jobs_completed_total', { queue: 'other' })).toBe(1);
    expect(await metrics.render()).not.toContain('ann@example.com');
  });

  it('calls open values other beyond 200 label sets and keeps the closed ones', async () => {
    const metrics = open();
    const requests = metrics.histogram('http_request_duration_ms');
    for (let n = 0; n < 300; n += 1) requests.labels({ method: 'GET', route: `/r/${n}`, status: '500' }).observe(1);
    expect(metrics.value('http_request_duration_ms', { method: 'GET', route: 'other', status: '500' })).toBe(100);
    expect(linesOf(await metrics.render(), 'fmhl_http_request_duration_ms_count')).toHaveLength(201);
  });
});

describe('buckets', () => {
  it('hold at least ten edges, each threshold, and five times the highest', () => {
    for (const definition of Object.values(opsCatalogue())) {
      if (definition.type !== 'histogram') continue;
      const edges = bucketsOf(definition, [700, 20_000]);
      expect(edges.length).toBeGreaterThanOrEqual(10);
      expect(edges).toContain(700);
      expect(edges).toContain(20_000);
      expect(edges.at(-1)).toBeGreaterThanOrEqual(100_000);
      expect(edges).toEqual([...edges].sort((a, b) => a - b));
    }
  });

  it('follow the configured thresholds', async () => {
    const metrics = open({ thresholds: { pg_pool_wait_ms: [77] } });
    expect(await metrics.render()).toContain('fmhl_pg_pool_wait_ms_bucket{le="77"} 0');
  });
});

describe('defineMetrics', () => {
  const entry = { help: 'h', unit: 'x', aggregation: 'F', reporter: 'r' } as const;

  it('refuses misleading names', () => {
    expect(() => defineMetrics('a_', { things: { ...entry, type: 'counter' } })).toThrow('_total');
    expect(() => defineMetrics('a_', { things_total: { ...entry, type: 'gauge' } })).toThrow('_total');
    expect(() => defineMetrics('a-', { things_total: { ...entry, type: 'counter' } })).toThrow('snake_case');
  });

  it('serves a host that adds its own, some without prefix, to those who know only the library', async () => {
    const mine = defineMetrics('shop_', {
      orders_total: { ...entry, type: 'counter', labels: { outcome: ['paid', 'lost'] } },
      events_published_total: { ...entry, type: 'counter', labels: { stream: ['orders'] }, unprefixed: true },
    });
    const metrics = open({ catalogue: { ...opsCatalogue(), ...mine } });
    const countsJobs = (m: Metrics) => m.counter('jobs_completed_total').labels({ queue: 'email_send' }).inc();
    const all = createMetrics({
      enabled: true,
      catalogue: { ...opsCatalogue(), ...mine },
      queues,
      version: '1',
      commit: 'c',
    });
    countsJobs(all);
    all.counter('orders_total').labels({ outcome: 'paid' }).inc();
    expect(await all.render()).toContain('shop_orders_total{outcome="paid"} 1\n');
    expect(await metrics.render()).toContain('\nevents_published_total{stream="orders"} 0\n');
  });
});

describe('collectors', () => {
  const depth = (value: number) => [{ metric: 'queue_depth' as const, labels: { queue: 'email_send' }, value }];

  it('runs on scrape, shares a read among scrapes, and keeps it for the cache time', async () => {
    let at = 0;
    const metrics = open({ now: () => at });
    const read = vi.fn(async () => depth(7));
    metrics.collect({ name: 'queues', gauges: ['queue_depth'], read });
    expect(read).not.toHaveBeenCalled();
    const texts = await Promise.all([metrics.render(), metrics.render(), metrics.render()]);
    for (const text of texts) expect(text).toContain('fmhl_queue_depth{queue="email_send"} 7\n');
    await metrics.render();
    expect(read).toHaveBeenCalledTimes(1);
    at += 5_000;
    await metrics.render();
    expect(read).toHaveBeenCalledTimes(2);
  });

  it('replaces its series, so that what is gone is not shown', async () => {
    const metrics = open();
    let sources = ['queue', 'stream'];
    metrics.collect({
      name: 'letters',
      gauges: ['dlq_size'],
      cacheMs: 0,
      read: async () =>
        sources.map((source) => ({ metric: 'dlq_size', labels: { queue: 'email_send', source }, value: 1 })),
    });
    expect(linesOf(await metrics.render(), 'fmhl_dlq_size')).toHaveLength(2);
    sources = ['queue'];
    expect(linesOf(await metrics.render(), 'fmhl_dlq_size')).toHaveLength(1);
  });

  it('removes its series and counts the error when the read throws, even at once', async () => {
    const failures: string[] = [];
    const metrics = open({ onCollectorFailure: (collector) => failures.push(collector) });
    let fails = false;
    metrics.collect({
      name: 'redis',
      gauges: ['redis_memory_used_bytes', 'redis_evicted_keys_total'],
      cacheMs: 0,
      read: () => {
        if (fails) throw new Error('refused');
        return Promise.resolve([
          { metric: 'redis_memory_used_bytes', value: 5 },
          { metric: 'redis_evicted_keys_total', value: 3 },
        ]);
      },
    });
    expect(await metrics.render()).toContain('fmhl_redis_evicted_keys_total 3\n');
    fails = true;
    const text = await metrics.render();
    expect(text).not.toMatch(/^fmhl_redis_/m);
    expect(text).toContain('fmhl_metrics_collect_errors_total{collector="redis"} 1\n');
    expect(failures).toEqual(['redis']);
    fails = false;
    expect(await metrics.render()).toContain('fmhl_redis_memory_used_bytes 5\n');
  });

  it('starts its error counter at 0', async () => {
    const metrics = open();
    metrics.collect({ name: 'queues', gauges: ['queue_depth'], read: async () => [] });
    expect(await metrics.render()).toContain('fmhl_metrics_collect_errors_total{collector="queues"} 0\n');
  });

  it('does not let a hanging read delay the scrape, nor starts a second one beside it', async () => {
    let at = 0;
    const metrics = open({ now: () => at });
    const read = vi.fn(() => new Promise<never>(() => {}));
    metrics.collect({ name: 'stuck', gauges: ['queue_depth'], timeoutMs: 20, read });
    metrics.collect({
      name: 'fine',
      gauges: ['queue_delayed'],
      read: async () => [{ metric: 'queue_delayed', labels: { queue: 'email_send' }, value: 1 }],
    });
    const text = await metrics.render();
    expect(text).toContain('fmhl_metrics_collect_errors_total{collector="stuck"} 1\n');
    expect(text).toContain('fmhl_queue_delayed{queue="email_send"} 1\n');
    await metrics.render();
    expect(read).toHaveBeenCalledTimes(1);
    at += 1_000;
    await metrics.render();
    expect(read).toHaveBeenCalledTimes(2);
  });
});

describe('disabled', () => {
  it('hands out instruments that do nothing and exposes nothing', async () => {
    const metrics = open({ enabled: false });
    const read = vi.fn(async () => []);
    metrics.counter('jobs_completed_total').labels({ queue: 'email_send' }).inc();
    metrics.histogram('pg_pool_wait_ms').observe(1);
    metrics.gauge('queue_stats_last_success_timestamp_seconds').set(1);
    metrics.collect({ name: 'queues', gauges: ['queue_depth'], read });
    expect(await metrics.render()).toBe('');
    expect(metrics.enabled).toBe(false);
    expect(read).not.toHaveBeenCalled();
  });
});

describe('the reference', () => {
  it('names every metric', () => {
    const text = metricsReference(opsCatalogue());
    for (const { name } of Object.values(opsCatalogue())) expect(text).toContain(`| \`${name}\` |`);
  });
});
