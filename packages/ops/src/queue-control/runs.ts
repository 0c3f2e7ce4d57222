import { type Queryable, type Sql, sql } from '../postgres/index.ts';
import type { JobRow, JobState } from './contract.ts';

/** A run with what its neighbours in other tables say of it. */
export interface Run {
  readonly run_key: string;
  readonly root_key: string;
  readonly queue: string;
  readonly kind: string;
  readonly state: JobState;
  readonly generation: number;
  readonly started: number;
  readonly finished: number;
  readonly failures: number;
  readonly max_attempts: number;
  readonly priority: number;
  readonly run_at: Date;
  readonly enqueued_at: Date;
  readonly last_started_at: Date | null;
  readonly finished_at: Date | null;
  readonly cause: string | null;
  readonly correlation_id: string;
  readonly letter_id: string | null;
  /** Null when the run has ended: open runs are those of the outbox. */
  readonly outbox_id: number | null;
  readonly dispatched_at: Date | null;
  readonly dispatches: number | null;
}

/** The state of the run `r` in words. */
const stateOf = sql`
  case when r.state <> 'enqueued' then r.state when r.started > r.finished then 'active'
       when r.run_at > statement_timestamp() then 'delayed' else 'waiting' end`;

/** The columns of a {@link Run}, from `ops.job_run r`, `ops.job_outbox o` and the letter `l`. */
export const runColumns: Sql = sql`
  r.run_key, r.root_key, r.queue, r.kind, ${stateOf} as state, r.generation, r.started, r.finished, r.failures, r.max_attempts,
  r.priority, r.run_at, r.enqueued_at, r.last_started_at, r.finished_at, r.cause, r.correlation_id,
  coalesce(r.dlq_id, l.id) as letter_id, o.id as outbox_id, o.dispatched_at, o.dispatches`;

/** Each run has at most one letter: that of its root, or the one it is a retry of. */
export const letterOfRun: Sql = sql`
  left join ops.dead_letter_queue l on l.source = 'queue' and l.queue_name = r.queue and l.root_key = r.root_key`;

/** Undefined when the queue has no such run. */
export async function findRun(db: Queryable, queue: string, runKey: string): Promise<Run | undefined> {
  const { rows } = await db.query<Run>(sql`
    select ${runColumns}
    from ops.job_run r left join ops.job_outbox o using (run_key) ${letterOfRun}
    where r.run_key = ${runKey} and r.queue = ${queue}`);
  return rows[0];
}

/** A run as it is listed. */
export function jobRowOf(run: Run): JobRow {
  return {
    job_id: run.run_key,
    queue: run.queue,
    kind: run.kind,
    state: run.state,
    attempts: run.started,
    failures: run.failures,
    max_attempts: run.max_attempts,
    priority: run.priority,
    generation: run.generation,
    enqueued_at: run.enqueued_at.toISOString(),
    run_at: run.run_at.toISOString(),
    started_at: run.last_started_at?.toISOString() ?? null,
    ended_at: run.finished_at?.toISOString() ?? null,
    cause: run.cause,
    dead_letter_id: run.letter_id,
    correlation_id: run.correlation_id,
    dispatched: run.outbox_id === null ? null : run.dispatched_at !== null,
  };
}
