import { type Job as BullJob, UnrecoverableError } from 'bullmq';
import { RunningContext } from '../logging/index.ts';
import type { Attempt, Delivery, ProcessDeps } from './attempt.ts';
import type { QueueDefinition } from './definition.ts';
import { endDone, endFailed, endSnoozed } from './end-attempt.ts';
import { type Envelope, readEnvelope } from './envelope.ts';
import { describeFailure } from './failure.ts';
import type { JobHandler } from './handler.ts';
import type { QueueInstruments } from './instruments.ts';
import { type JobOutcome, PermanentError } from './outcome.ts';
import { checkPayload, readLargePayload } from './payload.ts';
import { refuseStart } from './refuse-start.ts';
import { RunningJob } from './running-job.ts';
import { beginRun } from './start.ts';

const defaultTimeoutMs = 60_000;

/**
 * The processor of one queue: begin → handle → verdict. Postgres decides; what is thrown only tells BullMQ what was decided.
 * It runs for every job, so it makes few objects and few promises: half of what a short job costs here is their collection.
 */
export function createProcess(
  queue: QueueDefinition,
  handler: JobHandler,
  instruments: QueueInstruments,
  deps: ProcessDeps,
): (job: BullJob<unknown>, token?: string) => Promise<unknown> {
  return (job, token) => {
    const envelope = readEnvelope(job.data);
    if (!envelope) return Promise.reject(new UnrecoverableError('not a job of this plane: no envelope'));
    const delivery: Delivery = { job, token, envelope, queue, instruments, deps };
    return contextOf(envelope).run(() => processDelivery(delivery, handler));
  };
}

function contextOf({ meta }: Envelope): RunningContext {
  const { correlation_id, causation_id, traceparent } = meta;
  return new RunningContext({
    correlationId: correlation_id,
    ...(causation_id !== undefined && { causationId: causation_id }),
    ...(traceparent !== undefined && { traceparent }),
  });
}

async function processDelivery(delivery: Delivery, handler: JobHandler): Promise<unknown> {
  const { envelope, deps, instruments, job } = delivery;
  const pause = deps.failpoint('worker.before_begin');
  if (pause) await pause;
  try {
    const begun = await beginRun(envelope.run, deps);
    if (typeof begun === 'string') return await refuseStart(begun, delivery);
    const one: Attempt = { ...delivery, begun, startedAt: performance.now() };
    instruments.started(job.timestamp + (job.delay ?? 0));
    return await attempt(one, handler);
  } finally {
    deps.suspects.release(envelope.run);
  }
}

async function attempt(one: Attempt, handler: JobHandler): Promise<unknown> {
  let outcome: JobOutcome | undefined;
  let thrown: unknown;
  try {
    outcome = await handle(one, handler);
  } catch (error) {
    thrown = error;
  }
  one.instruments.ended(performance.now() - one.startedAt);
  if (outcome === undefined) return endFailed(one, describeFailure(thrown));
  switch (outcome.kind) {
    case 'done':
      return endDone(one);
    case 'snooze':
      return endSnoozed(one, outcome);
    case 'retry':
      return endFailed(one, describeFailure(outcome.error));
    case 'bury':
      return endFailed(one, { ...describeFailure(outcome.error), class: 'permanent' });
  }
}

/** Runs the handler, and writes the verdict `done` when the handler has not done so with its effect. */
async function handle(one: Attempt, handler: JobHandler): Promise<JobOutcome> {
  const { envelope, queue, begun, deps, job: bull } = one;
  const { db, runs, failpoint, deadlines } = deps;
  const kind = queue.kinds[bull.name];
  if (!kind) throw new PermanentError(`queue ${queue.name} has no kind "${bull.name}"`);
  const body = envelope.ref ? await readLargePayload(db, envelope.run, envelope.ref.sha256) : envelope.body;
  const payload = checkPayload(body, kind.schema);
  const pause = failpoint('worker.before_handler');
  if (pause) await pause;
  const deadline = deadlines.open(kind.timeoutMs ?? defaultTimeoutMs);
  const job = new RunningJob({ queue: queue.name, kind: bull.name, payload, envelope, begun, deadline, db, failpoint });
  try {
    const outcome = await deadline.within(handler(job));
    if (outcome.kind !== 'done' || job.committed) return outcome;
    const isNewest = await runs.finish({ runKey: envelope.run, started: begun.started });
    // The verdict of another attempt stands; what this one did outside of Postgres is done all the same.
    if (!isNewest) deps.log.warn('job_fenced', { queue: queue.name, job_id: envelope.run, attempt: begun.started });
    return outcome;
  } finally {
    deadlines.close(deadline);
  }
}
