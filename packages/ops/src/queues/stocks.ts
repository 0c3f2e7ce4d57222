import type { Redis } from 'ioredis';
import type { Metrics, Reading } from '../metrics/index.ts';
import { type Database, prepared, sql } from '../postgres/index.ts';
import { withDeadline } from '../redis/index.ts';
import type { QueueOverview } from './contract.ts';
import { readOldestLetters } from './overview-queries.ts';
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
    name: 'dead_letters',
    gauges: ['dlq_oldest_age_seconds'],
    async read() {
      const ages = await readOldestLetters(db, registry.names);
      return registry.names.map((queue) => ({
        metric: 'dlq_oldest_age_seconds' as const,
        labels: { queue },
        value: ages.get(queue) ?? 0,
      }));
    },
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
      { metric: 'queue_paused' as const, labels, value: row.paused || row.paused_in_redis ? 1 : 0 },
      { metric: 'queue_oldest_job_age_seconds' as const, labels, value: row.oldest_job_age_s ?? 0 },
      { metric: 'dlq_size' as const, labels: { queue: row.name, source: 'queue' }, value: row.dlq_size },
      ...(row.not_dispatched === null
        ? []
        : [{ metric: 'job_outbox_backlog' as const, labels, value: row.not_dispatched }]),
    ];
  });
}

/** Open runs not handed over among which the oldest of each queue is looked for: the relay takes them in this order. */
const oldestAmong = 10_000;

async function outboxAges(db: Database, names: readonly string[]) {
  const { rows } = await db.query<{ queue: string; age_s: number | null }>(
    prepared(
      'outbox-ages',
      sql`
    with waiting as materialized (
      select id, queue, run_key from ops.job_outbox where dispatched_at is null order by id limit ${oldestAmong}),
    oldest as (select distinct on (queue) queue, run_key from waiting order by queue, id)
    select q.name as queue,
           coalesce(extract(epoch from statement_timestamp() - r.enqueued_at),
                    case when (select count(*) from waiting) < ${oldestAmong} then 0 end)::float8 as age_s
    from unnest(${names}::text[]) as q(name)
    left join oldest o on o.queue = q.name
    left join ops.job_run r using (run_key)`,
    ),
  );
  return rows.flatMap(({ queue, age_s }) =>
    age_s === null ? [] : [{ metric: 'job_outbox_oldest_age_seconds' as const, labels: { queue }, value: age_s }],
  );
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
