import { type Database, prepared, type Queryable, sql } from '../postgres/index.ts';
import { boundedRead } from './bounded-read.ts';
import { runsWithin } from './list-done.ts';

/** A worker process that was seen in the last 30 s. */
export interface WorkerProcess {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly started_at: Date;
  readonly last_seen_at: Date;
}

export async function readProcesses(db: Queryable, queue: string): Promise<WorkerProcess[]> {
  const { rows } = await db.query<WorkerProcess>(sql`
    select id, host, pid, version, started_at, last_seen_at from ops.worker
    where ${queue} = any (queues) and stopped_at is null and last_seen_at > statement_timestamp() - interval '30 seconds'
    order by host, pid limit 500`);
  return rows;
}

/** Run keys by the worker that began them last. */
export async function activeByWorker(db: Queryable, runKeys: readonly string[]): Promise<Map<string, string[]>> {
  const { rows } = await db.query<{ worker: string; jobs: string[] }>(sql`
    select worker, array_agg(run_key::text order by run_key) as jobs from ops.job_run
    where run_key = any (${runKeys}::text[]) and started > finished and worker is not null group by worker`);
  return new Map(rows.map(({ worker, jobs }) => [worker, jobs]));
}

/** What went through a queue lately. */
export interface Flow {
  readonly windowMs: number;
  readonly enqueued: number;
  readonly done: number;
  /** p50, p95 and p99 in ms; null without a job. */
  readonly wait: readonly number[] | null;
  readonly run: readonly number[] | null;
  readonly outPerMinute: number | null;
}

/** Runs of all queues that the figures are made of, at most: where more were enqueued the window is shorter. */
const mostTouched = 20_000;
const longestWindowMs = 10 * 60_000;
const shortestWindowMs = 1_000;

export async function readFlow(db: Database, queue: string): Promise<Flow> {
  return boundedRead(db, async (tx) => {
    const outPerMinute = await readOut(tx, queue);
    for (let windowMs = longestWindowMs; ; windowMs /= 5) {
      const { touched, ...flow } = await measure(tx, queue, windowMs);
      if (touched <= mostTouched || windowMs / 5 < shortestWindowMs) return { ...flow, windowMs, outPerMinute };
    }
  });
}

interface Measured {
  readonly touched: number;
  readonly enqueued: number;
  readonly done: number;
  readonly wait: number[] | null;
  readonly run: number[] | null;
}

async function measure(db: Queryable, queue: string, windowMs: number): Promise<Measured> {
  const window = { at: new Date(Date.now() + 60_000).toISOString(), key: '', widthMs: windowMs + 60_000 };
  const { rows } = await db.query<Measured>(
    prepared(
      'queue-flow',
      sql`
    with near as materialized (${runsWithin(window, mostTouched)}),
    mine as (
      select state, greatest(0, extract(epoch from last_started_at - run_at) * 1000)::float8 as wait,
             extract(epoch from finished_at - last_started_at)::float8 * 1000 as run
      from near where queue = ${queue})
    select (select count(*) from near) as touched, count(*) as enqueued, count(*) filter (where state = 'done') as done,
           percentile_cont(array[0.5, 0.95, 0.99]) within group (order by wait) filter (where state = 'done') as wait,
           percentile_cont(array[0.5, 0.95, 0.99]) within group (order by run) filter (where state = 'done') as run
    from mine`,
    ),
  );
  return rows[0] ?? { touched: 0, enqueued: 0, done: 0, wait: null, run: null };
}

/** Attempts completed a minute, over the last 5; null when no worker told of any. */
export async function readOut(db: Queryable, queue: string): Promise<number | null> {
  const { rows } = await db.query<{ per_minute: number | null }>(sql`
    select sum(completed)::float8 / 5 as per_minute from ops.attempt_minute
    where minute > statement_timestamp() - interval '5 minutes' and queue = ${queue}`);
  return rows[0]?.per_minute ?? null;
}
