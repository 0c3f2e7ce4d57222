import { type Database, sql } from '../postgres/index.ts';
import type { RedisQueues } from './bullmq.ts';
import type { QueueRegistry } from './registry.ts';

/** One queue as an operator sees it. Counts of jobs; ages in seconds. */
export interface QueueRow {
  readonly name: string;
  readonly aliases: readonly string[];
  /** Ready and waiting, also while paused; not active, not delayed. */
  readonly depth: number;
  readonly active: number;
  /** Runs that got the verdict dead in the last 60 minutes. */
  readonly failed_last_hour: number;
  /** Dead runs that nobody has closed. */
  readonly dlq_size: number;
  readonly delayed: number;
  /** Committed, but not yet in Redis. */
  readonly not_dispatched: number;
  /** Age of the oldest job that could run and has not begun; null when none waits. */
  readonly oldest_job_age_s: number | null;
  /** Worker processes seen in the last 30 s. */
  readonly workers: number;
  /** Null when Redis could not be asked. */
  readonly paused: boolean | null;
}

export interface QueueOverview {
  readonly queues: readonly QueueRow[];
  /** ISO 8601. */
  readonly as_of: string;
  /** `postgres` while Redis cannot be asked: an outage shows a growing number, not an empty queue. */
  readonly counted_from: 'redis' | 'postgres';
}

interface PostgresRow {
  name: string;
  open_ready: number;
  open_running: number;
  open_later: number;
  not_dispatched: number;
  oldest_s: number | null;
  failed_last_hour: number;
  dead: number;
  workers: number;
}

/** Reads every registered queue. Throws when Postgres is away: unknown is never shown as zero. */
export async function readOverview(
  db: Database,
  redis: RedisQueues,
  registry: QueueRegistry,
  now: () => Date,
): Promise<QueueOverview> {
  const [stored, counts] = await Promise.all([
    readStored(db, registry.names),
    Promise.all(registry.names.map((name) => redis.counts(name))).catch(() => undefined),
  ]);
  const queues = registry.definitions.map(({ name, aliases = [] }, at) => {
    const row = stored.get(name);
    const live = counts?.[at];
    return {
      name,
      aliases,
      depth: live?.waiting ?? row?.open_ready ?? 0,
      active: live?.active ?? row?.open_running ?? 0,
      failed_last_hour: row?.failed_last_hour ?? 0,
      dlq_size: row?.dead ?? 0,
      delayed: live?.delayed ?? row?.open_later ?? 0,
      not_dispatched: row?.not_dispatched ?? 0,
      oldest_job_age_s: row?.oldest_s ?? null,
      workers: row?.workers ?? 0,
      paused: live?.paused ?? null,
    };
  });
  return { queues, as_of: now().toISOString(), counted_from: counts ? 'redis' : 'postgres' };
}

/** Open runs are those of the outbox; what they wait for is told by their run. */
async function readStored(db: Database, names: readonly string[]): Promise<Map<string, PostgresRow>> {
  const { rows } = await db.query<PostgresRow>(sql`
    select q.name, o.open_ready, o.open_running, o.open_later, o.not_dispatched, o.oldest_s,
           (select count(*)::int from ops.job_run d where d.queue = q.name and d.died_at > clock_timestamp() - interval '1 hour') as failed_last_hour,
           (select count(*)::int from ops.job_run d where d.queue = q.name and d.died_at is not null) as dead,
           (select count(*)::int from ops.worker w where q.name = any (w.queues) and w.stopped_at is null
              and w.last_seen_at > clock_timestamp() - interval '30 seconds') as workers
    from unnest(${names}::text[]) as q(name)
    cross join lateral (
      select (count(*) filter (where r.started = r.finished and r.run_at <= clock_timestamp()))::int as open_ready,
             (count(*) filter (where r.started > r.finished))::int as open_running,
             (count(*) filter (where r.started = r.finished and r.run_at > clock_timestamp()))::int as open_later,
             (count(*) filter (where b.dispatched_at is null))::int as not_dispatched,
             extract(epoch from clock_timestamp() - min(r.run_at) filter (where r.started = r.finished and r.run_at <= clock_timestamp()))::float8 as oldest_s
      from ops.job_outbox b join ops.job_run r using (run_key) where b.queue = q.name) o`);
  return new Map(rows.map((row) => [row.name, row]));
}
