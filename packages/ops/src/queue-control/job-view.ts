import { type Actor, audit } from '../audit/index.ts';
import { attemptsHistory } from '../dead-letters/index.ts';
import { type Queryable, sql, type Tx } from '../postgres/index.ts';
import { personalPathsOf, type QueueRegistry } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';
import { showPayload } from './job-payload.ts';
import { findRun, jobRowOf, type Run } from './runs.ts';

export interface ViewRequest {
  readonly registry: QueueRegistry;
  readonly queue: string;
  readonly jobId: string;
  readonly actor: Actor;
  /** Shows personal values of the payload. */
  readonly inClear: boolean;
  readonly reason?: string | undefined;
}

interface Evidence {
  readonly causation_id: string | null;
  readonly traceparent: string | null;
  readonly attempts_history: readonly Record<string, unknown>[] | null;
  readonly worker: {
    readonly id: string;
    readonly host: string;
    readonly pid: number;
    readonly version: string;
    readonly last_seen_at: string;
  } | null;
}

/** One job with its evidence; the view is audited. Throws refusal `not_found`. */
export async function viewJob(tx: Tx, { registry, queue, jobId, actor, inClear, reason }: ViewRequest) {
  const run = await findRun(tx, queue, jobId);
  const evidence = run && (await readEvidence(tx, run));
  if (!run || !evidence) throw refuse('not_found');
  await audit(tx, {
    actor,
    action: 'job.viewed',
    targetType: 'job',
    targetId: jobId,
    reason,
    details: { queue, payload: inClear ? 'clear' : 'masked' },
  });
  return {
    ...jobRowOf(run),
    root_key: run.root_key,
    causation_id: evidence.causation_id,
    traceparent: evidence.traceparent,
    dispatches: run.dispatches,
    dispatched_at: run.dispatched_at?.toISOString() ?? null,
    crashes: run.started - run.finished - (run.state === 'active' ? 1 : 0),
    ...timingsOf(run),
    worker: evidence.worker,
    attempts_history: (evidence.attempts_history ?? []).map(attemptOf).reverse(),
    ...(await showPayload(tx, run, { inClear, paths: personalPathsOf(registry, queue, run.kind) })),
  };
}

async function readEvidence(db: Queryable, run: Run): Promise<Evidence | undefined> {
  const { rows } = await db.query<Evidence>(sql`
    select r.causation_id, r.traceparent, ${attemptsHistory},
           case when w.id is not null then jsonb_build_object('id', w.id, 'host', w.host, 'pid', w.pid, 'version', w.version,
             'last_seen_at', to_char(w.last_seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) end as worker
    from ops.job_run r left join ops.worker w on w.id = r.worker
    where r.run_key = ${run.run_key}`);
  return rows[0];
}

/** Of the newest attempt: `run_at` moves with each failure, so the two belong together. */
function timingsOf({ state, run_at, last_started_at, finished_at }: Run) {
  const begun = last_started_at?.getTime();
  const wasLast = begun !== undefined && begun >= run_at.getTime();
  return {
    wait_ms: wasLast ? begun - run_at.getTime() : null,
    run_ms: begun !== undefined && finished_at && state !== 'active' ? finished_at.getTime() - begun : null,
  };
}

interface StoredError {
  readonly type?: string;
  readonly message?: string;
  readonly code?: string | null;
  readonly stack?: string;
}

function attemptOf(stored: Record<string, unknown>) {
  const { attempt, outcome } = stored;
  const [startedAt, endedAt] = [textOrNull(stored.started_at), textOrNull(stored.ended_at)];
  const error = stored.error as StoredError | null | undefined;
  return {
    attempt: typeof attempt === 'number' ? attempt : null,
    outcome: textOrNull(outcome) ?? 'unknown',
    started_at: startedAt,
    ended_at: endedAt,
    duration_ms: startedAt && endedAt ? Date.parse(endedAt) - Date.parse(startedAt) : null,
    worker: textOrNull(stored.worker),
    error: error ? errorOf(error) : null,
  };
}

function errorOf({ type = 'Error', message = '', code = null, stack = '' }: StoredError) {
  return { type, message, code, stack };
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
