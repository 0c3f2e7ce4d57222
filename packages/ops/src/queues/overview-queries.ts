import { type Database, prepared, sql } from '../postgres/index.ts';

/** The columns of `ops.queue` that say who paused it. */
export interface PausedColumns {
  readonly paused_at: Date | null;
  readonly paused_by_name: string | null;
  readonly pause_reason: string | null;
  readonly paused_until: Date | null;
}

/** What Postgres knows of a queue, whether Redis answers or not. */
export interface StoredQueue extends PausedColumns {
  readonly name: string;
  readonly dlq_size: number;
  readonly proof_gap: number;
  readonly failed_last_hour: number;
  readonly attempts_failed_last_hour: number | null;
  readonly workers: number;
  readonly not_dispatched: number | null;
  readonly oldest_s: number | null;
}

/** Rows of the outbox that are counted at most. */
const mostCounted = 100_000;
/** Open runs of a queue among which its oldest waiting one is looked for. */
const oldestAmong = 200;

/** Letters of which a run died in the last hour: first runs by the letters they made, retries by their keys. */
const diedLately = sql`l.failed_at > statement_timestamp() - interval '1 hour' and l.source = 'queue' and not l.synthetic`;

/** Times are `statement_timestamp()`: that of a clock that moves within the statement is never looked up in an index. */
export async function readStored(db: Database, names: readonly string[]): Promise<Map<string, StoredQueue>> {
  const { rows } = await db.query<StoredQueue>(
    prepared(
      'queue-overview',
      sql`
    with stock as (
      select queue_name, sum(open)::bigint as open, sum(captured)::bigint as captured
      from (select queue_name, open, captured from ops.dead_letter_stock where source = 'queue'
            union all
            select queue_name, open, captured from ops.dead_letter_change where source = 'queue') counted
      group by queue_name),
    deaths as (select queue, sum(deaths)::bigint as deaths from ops.job_death group by queue),
    died_again as (
      select r.queue, count(*) as deaths
      from ops.dead_letter_queue l cross join generate_series(1, l.generation) g
      join ops.job_run r on r.run_key = 'dlq-' || l.id || '-r' || g
      where ${diedLately} and l.generation > 0 and r.died_at > statement_timestamp() - interval '1 hour'
      group by r.queue),
    undispatched as (
      select queue, count(*) as rows, sum(count(*)) over () as all_rows
      from (select queue from ops.job_outbox where dispatched_at is null order by id limit ${mostCounted + 1}) b
      group by queue)
    select q.name, p.paused_at, p.paused_by_name, p.pause_reason, p.paused_until,
           coalesce(s.open, 0) as dlq_size,
           greatest(0, coalesce(d.deaths, 0) - coalesce(s.captured, 0)) as proof_gap,
           (select count(*) from ops.dead_letter_queue l
            where l.queue_name = q.name and ${diedLately} and l.created_at > statement_timestamp() - interval '1 hour'
              and l.run_key is not null and l.cause not in ('orphaned', 'unreadable')) + coalesce(r.deaths, 0) as failed_last_hour,
           (select sum(m.failed) from ops.attempt_minute m
            where m.minute > statement_timestamp() - interval '1 hour' and m.queue = q.name) as attempts_failed_last_hour,
           (select count(*) from ops.worker w where q.name = any (w.queues) and w.stopped_at is null
              and w.last_seen_at > statement_timestamp() - interval '30 seconds') as workers,
           coalesce(u.rows, case when (select max(all_rows) from undispatched) > ${mostCounted} then null else 0 end)
             as not_dispatched,
           (select extract(epoch from statement_timestamp() - min(r.run_at))::float8
            from (select run_key from ops.job_outbox b where b.queue = q.name order by b.id limit ${oldestAmong}) b
            join ops.job_run r using (run_key)
            where r.started = r.finished and r.run_at <= statement_timestamp()) as oldest_s
    from unnest(${names}::text[]) as q(name)
    left join stock s on s.queue_name = q.name
    left join deaths d on d.queue = q.name
    left join died_again r on r.queue = q.name
    left join undispatched u on u.queue = q.name
    left join ops.queue p on p.name = q.name`,
    ),
  );
  return new Map(rows.map((row) => [row.name, row]));
}

/** Age in seconds, by queue, of the oldest of these runs that could run and has not begun. */
export async function oldestOf(db: Database, runKeys: readonly string[]): Promise<Map<string, number>> {
  if (runKeys.length === 0) return new Map();
  const { rows } = await db.query<{ queue: string; age_s: number }>(
    prepared(
      'queue-heads',
      sql`
    select queue, extract(epoch from statement_timestamp() - min(run_at))::float8 as age_s
    from ops.job_run
    where run_key = any (${runKeys}::text[]) and state = 'enqueued' and started = finished and run_at <= statement_timestamp()
    group by queue`,
    ),
  );
  return new Map(rows.map(({ queue, age_s }) => [queue, age_s]));
}

/** Open runs of a queue, counted without Redis. */
export interface OpenCounts {
  readonly name: string;
  readonly ready: number;
  readonly running: number;
  readonly later: number;
  readonly oldest_s: number | null;
}

/** Open runs are those of the outbox; what they wait for is told by their run. Looks at the first 100,001 of each queue. */
export async function readOpenCounts(db: Database, names: readonly string[]): Promise<Map<string, OpenCounts>> {
  const { rows } = await db.query<OpenCounts>(sql`
    select q.name, o.ready, o.running, o.later, o.oldest_s
    from unnest(${names}::text[]) as q(name)
    cross join lateral (
      select count(*) filter (where r.started = r.finished and r.run_at <= statement_timestamp()) as ready,
             count(*) filter (where r.started > r.finished) as running,
             count(*) filter (where r.started = r.finished and r.run_at > statement_timestamp()) as later,
             extract(epoch from statement_timestamp() - min(r.run_at)
               filter (where r.started = r.finished and r.run_at <= statement_timestamp()))::float8 as oldest_s
      from (select run_key from ops.job_outbox b where b.queue = q.name order by b.id limit ${mostCounted + 1}) b
      join ops.job_run r using (run_key)) o`);
  return new Map(rows.map((row) => [row.name, row]));
}

/** Age in seconds of the oldest open dead letter of each queue that has one. */
export async function readOldestLetters(db: Database, names: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await db.query<{ queue: string; age_s: number }>(
    prepared(
      'oldest-letters',
      sql`
    select q.name as queue, extract(epoch from statement_timestamp() - l.failed_at)::float8 as age_s
    from unnest(${names}::text[]) as q(name)
    cross join lateral (
      select failed_at from ops.dead_letter_queue where queue_name = q.name and not resolved
      order by queue_name, failed_at, id limit 1) l`,
    ),
  );
  return new Map(rows.map(({ queue, age_s }) => [queue, age_s]));
}
