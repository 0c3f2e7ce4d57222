import { setTimeout as wait } from 'node:timers/promises';
import { UnrecoverableError } from 'bullmq';
import { type Database, databaseFailure, sql } from '../postgres/index.ts';
import { type Attempt, blockOf, evidenceOf, finished, putBack } from './attempt.ts';
import { AttemptFailed, endForGood } from './bullmq.ts';
import type { Failure } from './failure.ts';
import { probeKind } from './probe.ts';
import { afterFailure, type DeathCause } from './verdict.ts';

/** Above this a finished job is logged whatever the sampling says, in ms. */
const slowJobMs = 5_000;
const slow = { slow: true };

/** Ends an attempt whose verdict `done` is committed. */
export function endDone(one: Attempt): typeof finished {
  const { instruments, deps, startedAt } = one;
  const tookMs = performance.now() - startedAt;
  instruments.completed();
  tellRetried(one, 'succeeded');
  const metadata = () => ({ ...blockOf(one), duration_ms: Math.round(tookMs) });
  deps.log.sampled('job_completed', metadata, tookMs > slowJobMs ? slow : undefined);
  return finished;
}

/** What became of the retry of a dead letter. */
function tellRetried(one: Attempt, result: 'succeeded' | 'failed'): void {
  const mode = one.envelope.meta.retry;
  if (mode === undefined) return;
  one.instruments.retriedLetter(mode, result);
  one.deps.log.info('dlq_retried', { ...blockOf(one), mode, result });
}

/** Puts the run back as its handler asked. */
export async function endSnoozed(one: Attempt, { delayMs, why }: { delayMs: number; why: string }): Promise<never> {
  await record(one, undefined, delayMs);
  one.instruments.snoozed();
  one.deps.log.info('job_snoozed', { ...blockOf(one), why, delay_ms: delayMs });
  return putBack(one, delayMs);
}

/** Judges a failure, records it, and tells BullMQ what was decided. */
export async function endFailed(one: Attempt, failure: Failure): Promise<unknown> {
  const { job, begun, envelope, queue, instruments, deps } = one;
  if (failure.class === 'ambiguous' && (await isDone(deps.db, envelope.run))) return endDone(one);
  const { failures, maxAttempts } = begun;
  const lastInRedis = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
  const verdict = afterFailure(
    failure,
    { failures, maxAttempts, lastInRedis, backoffMs: queue.backoffMs },
    deps.random(),
  );
  if (verdict.kind === 'snooze') {
    deps.onInfrastructureFailure();
    await record(one, undefined, verdict.delayMs);
    return putBack(one, verdict.delayMs);
  }
  if (job.name !== probeKind) instruments.failed();
  if (verdict.kind === 'dead') return die(one, failure, verdict.cause);
  await record(one, failure, verdict.delayMs);
  instruments.retried();
  deps.log.warn('job_attempt_failed', { ...blockOf(one), retry_in_ms: verdict.delayMs, error: evidenceOf(failure) });
  throw new AttemptFailed(`${failure.type}: ${failure.message}`, verdict.delayMs);
}

async function die(one: Attempt, failure: Failure, cause: DeathCause): Promise<never> {
  const { job, token, envelope, begun, queue, deps } = one;
  await deps.failpoint('worker.before_death');
  const dying = { runKey: envelope.run, queue: queue.name, cause, failure, started: begun.started };
  const death = await persist(one, () => deps.deaths.bury(dying));
  tellRetried(one, 'failed');
  await deps.failpoint('worker.after_death');
  const message = `${failure.type}: ${failure.message}`;
  // Without a death of its own, another attempt decides; the sweeper looks what became of it.
  throw death ? await endForGood(job, token, message, deps.end) : new UnrecoverableError(message);
}

/** Records the end of an attempt that did not succeed; with no failure, one that was put back. */
async function record(one: Attempt, failure: Failure | undefined, delayMs: number): Promise<void> {
  const { runs, log } = one.deps;
  const entry = { runKey: one.envelope.run, started: one.begun.started, failure, delayMs };
  if (!(await persist(one, () => runs.fail(entry)))) log.warn('job_fenced', blockOf(one));
}

/** Pause between two tries to record the end of an attempt, in ms. */
const recordAgainMs = 500;
/** Wait before a run is offered again whose end could not be recorded, in ms. */
const unrecordedPauseMs = 5_000;

/**
 * Records the end of an attempt, again and again while Postgres is away: without a word, the attempt would count as a crash, and
 * a death would be known to Redis alone. The job's lock is held meanwhile. Gives up when the process stops, or when Postgres
 * answers and refuses; then the run is offered again, and the reconciler knows of it in any case.
 */
async function persist<T>(one: Attempt, write: () => Promise<T>): Promise<T> {
  const { log, deadlines, onInfrastructureFailure } = one.deps;
  for (;;) {
    try {
      return await write();
    } catch (error) {
      const isAway = databaseFailure(error) !== undefined;
      if (isAway) onInfrastructureFailure();
      else log.error('worker_error', error, blockOf(one));
      if (!isAway || deadlines.stopping) return putBack(one, unrecordedPauseMs);
    }
    await wait(recordAgainMs);
  }
}

async function isDone(db: Database, runKey: string): Promise<boolean> {
  const { rows } = await db.query<{ state: string }>(sql`select state from ops.job_run where run_key = ${runKey}`);
  return rows[0]?.state === 'done';
}
