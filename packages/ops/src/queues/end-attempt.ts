import { UnrecoverableError } from 'bullmq';
import { type Database, sql } from '../postgres/index.ts';
import { type Attempt, blockOf, errorOf, evidenceOf, finished, putBack } from './attempt.ts';
import { AttemptFailed } from './bullmq.ts';
import { recordDeath } from './death.ts';
import type { Failure } from './failure.ts';
import { afterFailure, type DeathCause } from './verdict.ts';

/** Above this a finished job is logged whatever the sampling says, in ms. */
const slowJobMs = 5_000;
const slow = { slow: true };

/** Ends an attempt whose verdict `done` is committed. */
export function endDone(one: Attempt): typeof finished {
  const { instruments, deps, startedAt } = one;
  const tookMs = performance.now() - startedAt;
  instruments.completed();
  const metadata = () => ({ ...blockOf(one), duration_ms: Math.round(tookMs) });
  deps.log.sampled('job_completed', metadata, tookMs > slowJobMs ? slow : undefined);
  return finished;
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
    await record(one, undefined, verdict.delayMs).catch(() => {});
    return putBack(one, verdict.delayMs);
  }
  instruments.failed();
  if (verdict.kind === 'dead') return die(one, failure, verdict.cause);
  await record(one, failure, verdict.delayMs);
  instruments.retried();
  deps.log.warn('job_attempt_failed', { ...blockOf(one), retry_in_ms: verdict.delayMs, error: evidenceOf(failure) });
  throw new AttemptFailed(`${failure.type}: ${failure.message}`, verdict.delayMs);
}

async function die(one: Attempt, failure: Failure, cause: DeathCause): Promise<never> {
  const { envelope, begun, queue, instruments, deps } = one;
  await deps.failpoint('worker.before_death');
  const { workerId, onDeath } = deps;
  const dying = { runKey: envelope.run, queue: queue.name, cause, failure, workerId, started: begun.started };
  if (await recordDeath(deps.db, dying, onDeath)) {
    instruments.died(cause);
    deps.log.error('job_dead_lettered', errorOf(failure), { ...blockOf(one), cause });
  }
  await deps.failpoint('worker.after_death');
  throw new UnrecoverableError(`${failure.type}: ${failure.message}`);
}

/** Records the end of an attempt that did not succeed; with no failure, one that was put back. */
async function record(one: Attempt, failure: Failure | undefined, delayMs: number): Promise<void> {
  const { runs, log } = one.deps;
  const written = await runs.fail({ runKey: one.envelope.run, started: one.begun.started, failure, delayMs });
  if (!written) log.warn('job_fenced', blockOf(one));
}

async function isDone(db: Database, runKey: string): Promise<boolean> {
  const { rows } = await db.query<{ state: string }>(sql`select state from ops.job_run where run_key = ${runKey}`);
  return rows[0]?.state === 'done';
}
