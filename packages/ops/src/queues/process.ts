import { DelayedError, type Job as BullJob, UnrecoverableError } from 'bullmq';
import type { Failpoint } from '../failpoints/index.ts';
import { type Logger, runWithContext } from '../logging/index.ts';
import { type Database, sql } from '../postgres/index.ts';
import { AttemptFailed } from './bullmq.ts';
import { openCommit } from './commit.ts';
import { type OnDeath, recordDeath } from './death.ts';
import type { QueueDefinition } from './definition.ts';
import { type Envelope, readEnvelope } from './envelope.ts';
import { openDeadline } from './deadline.ts';
import { describeFailure, type Failure } from './failure.ts';
import type { Job, JobHandler } from './handler.ts';
import type { QueueInstruments } from './instruments.ts';
import { type JobOutcome, PermanentError } from './outcome.ts';
import { readPayload } from './payload.ts';
import type { Begun } from './run-writer.ts';
import { beginRun, type NoStart, type StartDeps } from './start.ts';
import { afterFailure, type DeathCause, infrastructurePauseMs } from './verdict.ts';

/** What every processor of a process shares. */
export interface ProcessDeps extends StartDeps {
  readonly log: Logger;
  readonly workerId: string;
  readonly failpoint: Failpoint;
  readonly onDeath?: OnDeath | undefined;
  /** Aborts every attempt under way: the process must stop. */
  readonly shutdown: AbortSignal;
  /** Told when Postgres or Redis was away, so that the worker stops fetching until they are back. */
  readonly onInfrastructureFailure: () => void;
  readonly random: () => number;
}

/** One attempt: what BullMQ handed over, and what is known of its run. */
interface Attempt {
  readonly job: BullJob<unknown>;
  readonly token: string | undefined;
  readonly envelope: Envelope;
  readonly begun: Begun;
  readonly queue: QueueDefinition;
}

/** BullMQ gets this for every finished job: nothing of the payload may come back through Redis. */
const finished = { ok: 1 };
/** A run that crashed before waits this long for its turn as the one suspect of a process, in ms. */
const suspectPauseMs = 200;

/**
 * The processor of one queue: begin → handle → verdict. Postgres decides; what is thrown only tells BullMQ what was decided.
 */
export function createProcess(
  queue: QueueDefinition,
  handler: JobHandler,
  instruments: QueueInstruments,
  deps: ProcessDeps,
) {
  const { failpoint, suspects } = deps;
  return async (job: BullJob<unknown>, token?: string): Promise<unknown> => {
    const envelope = readEnvelope(job.data);
    if (!envelope) throw new UnrecoverableError('not a job of this plane: no envelope');
    return runWithContext(contextOf(envelope), async () => {
      await failpoint('worker.before_begin');
      try {
        const begun = await beginRun(envelope.run, deps);
        if (begun.kind === 'started')
          return await attempt({ job, token, envelope, begun, queue }, handler, instruments, deps);
        return await refuseStart(begun.why, { envelope, queue, job, token }, instruments, deps);
      } finally {
        suspects.release(envelope.run);
      }
    });
  };
}

function contextOf({ meta }: Envelope) {
  return {
    correlationId: meta.correlation_id,
    ...(meta.causation_id && { causationId: meta.causation_id }),
    ...(meta.traceparent && { traceparent: meta.traceparent }),
  };
}

async function attempt(
  one: Attempt,
  handler: JobHandler,
  instruments: QueueInstruments,
  deps: ProcessDeps,
): Promise<unknown> {
  const startedAt = performance.now();
  instruments.started(one.job.timestamp + (one.job.delay ?? 0));
  let failure: Failure;
  try {
    const outcome = await handle(one, handler, deps);
    if (outcome.kind === 'done') return finishDone(one, startedAt, instruments, deps);
    if (outcome.kind === 'snooze') return await snoozeRun(one, outcome, instruments, deps);
    failure = describeFailure(outcome.error);
    if (outcome.kind === 'bury') failure = { ...failure, class: 'permanent' };
  } catch (thrown) {
    failure = describeFailure(thrown);
  } finally {
    instruments.ended(performance.now() - startedAt);
  }
  return await failRun(one, failure, startedAt, instruments, deps);
}

/** Runs the handler, and writes the verdict `done` when the handler has not done so with its effect. */
async function handle(one: Attempt, handler: JobHandler, deps: ProcessDeps): Promise<JobOutcome> {
  const { envelope, queue, begun } = one;
  const kind = queue.kinds[one.job.name];
  if (!kind) throw new PermanentError(`queue ${queue.name} has no kind "${one.job.name}"`);
  const payload = await readPayload(deps.db, envelope, kind.schema);
  await deps.failpoint('worker.before_handler');
  const deadline = openDeadline(kind.timeoutMs ?? 60_000, deps.shutdown);
  const commit = openCommit({ db: deps.db, runKey: envelope.run, started: begun.started, failpoint: deps.failpoint });
  const job: Job = {
    queue: queue.name,
    kind: one.job.name,
    payload,
    runKey: envelope.run,
    rootKey: envelope.root,
    attempt: begun.started,
    maxAttempts: begun.maxAttempts,
    get signal() {
      return deadline.signal;
    },
    commit: (work) => commit.run(work),
  };
  try {
    const outcome = await Promise.race([handler(job), deadline.expired]);
    if (outcome.kind === 'done' && !commit.committed) {
      if (!(await deps.runs.finish({ runKey: envelope.run, started: begun.started })))
        deps.log.warn('job_fenced', blockOf(one));
    }
    return outcome;
  } finally {
    deadline.clear();
  }
}

function finishDone(one: Attempt, startedAt: number, instruments: QueueInstruments, deps: ProcessDeps) {
  instruments.completed();
  deps.log.sampled(
    'job_completed',
    () => ({ ...blockOf(one), duration_ms: Math.round(performance.now() - startedAt) }),
    {
      slow: performance.now() - startedAt > 5_000,
    },
  );
  return finished;
}

async function snoozeRun(
  one: Attempt,
  outcome: { delayMs: number; why: string },
  instruments: QueueInstruments,
  deps: ProcessDeps,
) {
  await record(one, undefined, outcome.delayMs, deps);
  instruments.snoozed();
  deps.log.info('job_snoozed', { ...blockOf(one), why: outcome.why, delay_ms: outcome.delayMs });
  return putBack(one.job, one.token, outcome.delayMs);
}

async function failRun(
  one: Attempt,
  failure: Failure,
  startedAt: number,
  instruments: QueueInstruments,
  deps: ProcessDeps,
) {
  const { job, token, begun, envelope, queue } = one;
  if (failure.class === 'ambiguous' && (await isDone(deps.db, envelope.run)))
    return finishDone(one, startedAt, instruments, deps);
  const verdict = afterFailure(
    failure,
    {
      failures: begun.failures,
      maxAttempts: begun.maxAttempts,
      lastInRedis: job.attemptsMade + 1 >= (job.opts.attempts ?? 1),
      backoffMs: queue.backoffMs,
    },
    deps.random(),
  );
  if (verdict.kind === 'snooze') {
    deps.onInfrastructureFailure();
    await record(one, undefined, verdict.delayMs, deps).catch(() => {});
    return putBack(job, token, verdict.delayMs);
  }
  instruments.failed();
  if (verdict.kind === 'dead') return die(one, failure, verdict.cause, instruments, deps);
  await record(one, failure, verdict.delayMs, deps);
  instruments.retried();
  deps.log.warn('job_attempt_failed', { ...blockOf(one), retry_in_ms: verdict.delayMs, error: evidenceOf(failure) });
  throw new AttemptFailed(`${failure.type}: ${failure.message}`, verdict.delayMs);
}

async function die(
  one: Attempt,
  failure: Failure,
  cause: DeathCause,
  instruments: QueueInstruments,
  deps: ProcessDeps,
): Promise<never> {
  const { envelope, begun, queue } = one;
  await deps.failpoint('worker.before_death');
  const dying = {
    runKey: envelope.run,
    queue: queue.name,
    cause,
    failure,
    workerId: deps.workerId,
    started: begun.started,
  };
  if (await recordDeath(deps.db, dying, deps.onDeath)) {
    instruments.died(cause);
    deps.log.error('job_dead_lettered', errorOf(failure), { ...blockOf(one), cause });
  }
  await deps.failpoint('worker.after_death');
  throw new UnrecoverableError(`${failure.type}: ${failure.message}`);
}

interface Refused {
  readonly envelope: Envelope;
  readonly queue: QueueDefinition;
  readonly job: BullJob<unknown>;
  readonly token: string | undefined;
}

/** Obeys a refusal: tells BullMQ that the work is done, dead, or to be offered again. */
async function refuseStart(
  why: NoStart,
  refused: Refused,
  instruments: QueueInstruments,
  deps: ProcessDeps,
): Promise<unknown> {
  const { job, token } = refused;
  switch (why) {
    case 'done':
      return finished;
    case 'dead':
      throw new UnrecoverableError('the run is dead already');
    case 'unknown':
      throw new UnrecoverableError('orphaned: Postgres knows no run with this key');
    case 'suspect_waits':
      return putBack(job, token, suspectPauseMs);
    case 'postgres_away':
      deps.onInfrastructureFailure();
      return putBack(job, token, infrastructurePauseMs);
    case 'crash_loop':
      return buryCrashLoop(refused, instruments, deps);
  }
}

async function buryCrashLoop(
  { envelope, queue }: Refused,
  instruments: QueueInstruments,
  deps: ProcessDeps,
): Promise<never> {
  const failure: Failure = {
    class: 'permanent',
    type: 'CrashLoop',
    message: 'three starts ended without a word',
    stack: '',
    code: null,
  };
  const dying = {
    runKey: envelope.run,
    queue: queue.name,
    cause: 'crash_loop' as const,
    failure,
    workerId: deps.workerId,
  };
  if (await recordDeath(deps.db, dying, deps.onDeath)) {
    instruments.died('crash_loop');
    deps.log.error('job_dead_lettered', errorOf(failure), {
      queue: queue.name,
      job_id: envelope.run,
      cause: 'crash_loop',
    });
  }
  throw new UnrecoverableError('crash_loop: three starts ended without a word');
}

/** Puts a job back without using an attempt. */
async function putBack(job: BullJob<unknown>, token: string | undefined, delayMs: number): Promise<never> {
  await job.moveToDelayed(Date.now() + delayMs, token);
  throw new DelayedError();
}

async function record(
  one: Attempt,
  failure: Failure | undefined,
  delayMs: number,
  { runs, log }: ProcessDeps,
): Promise<void> {
  const written = await runs.fail({ runKey: one.envelope.run, started: one.begun.started, failure, delayMs });
  if (!written) log.warn('job_fenced', blockOf(one));
}

async function isDone(db: Database, runKey: string): Promise<boolean> {
  const { rows } = await db.query<{ state: string }>(sql`select state from ops.job_run where run_key = ${runKey}`);
  return rows[0]?.state === 'done';
}

/** The fixed block of a log line about a job. */
function blockOf({ job, begun, queue }: Attempt) {
  return {
    queue: queue.name,
    job_name: job.name,
    job_id: job.id,
    attempt: begun.started,
    max_attempts: begun.maxAttempts,
    wait_ms: Math.max(0, (job.processedOn ?? 0) - job.timestamp - (job.delay ?? 0)),
  };
}

function evidenceOf({ type, message, code }: Failure) {
  return { type, message, code, stack: '' };
}

function errorOf(failure: Failure): Error {
  const error = new Error(failure.message);
  error.name = failure.type;
  error.stack = failure.stack;
  return error;
}
