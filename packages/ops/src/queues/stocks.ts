import type { Redis } from 'ioredis';
import type { Metrics, Reading } from '../metrics/index.ts';
import { type Database, sql } from '../postgres/index.ts';
import { withDeadline } from '../redis/index.ts';
import type { QueueOverview } from './overview.ts';
import type { QueueRegistry } from './registry.ts';

export interface StockDeps {
  readonly db: Database;
  readonly redis: Redis;
  readonly metrics: Metrics;
  readonly registry: QueueRegistry;
  readonly overview: () => Promise<QueueOverview>;
}

/** Registers the shared collectors: stocks that every role reads from Postgres and Redis, for `max by (…)`. */
export function watchStocks({ db, redis, metrics, registry, overview }: StockDeps): void {
  metrics.collect({
    name: 'queues',
    gauges: [
      'queue_depth',
      'queue_delayed',
      'queue_paused',
      'queue_oldest_job_age_seconds',
      'dlq_size',
      'job_outbox_backlog',
    ],
    read: async () => {
      const stats = await overview();
      // Set apart from the gauges of the collector: it must stay, and grow old, while the collector fails.
      metrics.gauge('queue_stats_last_success_timestamp_seconds').set(Date.parse(stats.as_of) / 1_000);
      return queueReadings(stats);
    },
  });
  metrics.collect({
    name: 'outbox_age',
    gauges: ['job_outbox_oldest_age_seconds'],
    read: () => outboxAges(db, registry.names),
  });
  metrics.collect({
    name: 'pg_pool',
    gauges: ['pg_pool_connections'],
    cacheMs: 0,
    read: async () =>
      Object.entries(db.connections).map(([state, value]) => ({
        metric: 'pg_pool_connections' as const,
        labels: { state },
        value,
      })),
  });
  metrics.collect({
    name: 'redis',
    gauges: ['redis_memory_used_bytes', 'redis_memory_max_bytes', 'redis_blocked_clients', 'redis_evicted_keys_total'],
    read: async () => redisReadings(await withDeadline(redis.info(), 900, 'INFO')),
  });
}

function queueReadings({ queues }: QueueOverview) {
  return queues.flatMap((row) => {
    const labels = { queue: row.name };
    return [
      { metric: 'queue_depth' as const, labels, value: row.depth },
      { metric: 'queue_delayed' as const, labels, value: row.delayed },
      ...(row.paused === null ? [] : [{ metric: 'queue_paused' as const, labels, value: Number(row.paused) }]),
      { metric: 'queue_oldest_job_age_seconds' as const, labels, value: row.oldest_job_age_s ?? 0 },
      { metric: 'dlq_size' as const, labels: { queue: row.name, source: 'queue' }, value: row.dlq_size },
      { metric: 'job_outbox_backlog' as const, labels, value: row.not_dispatched },
    ];
  });
}

async function outboxAges(db: Database, names: readonly string[]) {
  const { rows } = await db.query<{ queue: string; age_s: number }>(sql`
    select q.name as queue, coalesce(o.age_s, 0) as age_s
    from unnest(${names}::text[]) as q(name)
    left join (select b.queue, extract(epoch from clock_timestamp() - min(r.enqueued_at))::float8 as age_s
               from ops.job_outbox b join ops.job_run r using (run_key)
               where b.dispatched_at is null group by b.queue) o on o.queue = q.name`);
  return rows.map(({ queue, age_s }) => ({
    metric: 'job_outbox_oldest_age_seconds' as const,
    labels: { queue },
    value: age_s,
  }));
}

const redisFields = {
  redis_memory_used_bytes: 'used_memory',
  redis_memory_max_bytes: 'maxmemory',
  redis_blocked_clients: 'blocked_clients',
  redis_evicted_keys_total: 'evicted_keys',
} as const;

function redisReadings(info: string): Reading<keyof typeof redisFields>[] {
  return Object.entries(redisFields).flatMap(([metric, field]) => {
    const value = new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1];
    return value === undefined ? [] : [{ metric: metric as keyof typeof redisFields, value: Number(value) }];
  });
}
