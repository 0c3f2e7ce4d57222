import { type Job as BullJob, UnrecoverableError } from 'bullmq';
import { RunningContext } from '../logging/index.ts';
import type { Attempt, Delivery, ProcessDeps } from './attempt.ts';
import type { Deadline } from './deadlines.ts';
import type { QueueDefinition } from './definition.ts';
import { endDone, endFailed, endSnoozed } from './end-attempt.ts';
import { type Envelope, readEnvelope } from './envelope.ts';
import { describeFailure, ShutdownAbort } from './failure.ts';
import type { JobHandler } from './handler.ts';
import type { QueueInstruments } from './instruments.ts';
import type { Lane } from './lane.ts';
import { type JobOutcome, PermanentError } from './outcome.ts';
import { checkPayload, readLargePayload } from './payload.ts';
import { pathsOfKind } from './personal-paths.ts';
import { ProbeDeath, probeKind } from './probe.ts';
import { refuseStart } from './refuse-start.ts';
import { RunningJob } from './running-job.ts';
import { beginRun } from './start.ts';

const defaultTimeoutMs = 60_000;

/** What works on one queue. */
export interface ProcessOptions {
  readonly queue: QueueDefinition;
  readonly handler: JobHandler;
  readonly instruments: QueueInstruments;
  readonly lane: Lane;
}

/**
 * The processor of one queue: begin → handle → verdict. Postgres decides; what is thrown only tells BullMQ what was decided.
 * It runs for every job, so it makes few objects and few promises: half of what a short job costs here is their collection.
 */
export function createProcess(
  { queue, handler, instruments, lane }: ProcessOptions,
  deps: ProcessDeps,
): (job: BullJob<unknown>, token?: string) => Promise<unknown> {
  return (job, token) => {
    const envelope = readEnvelope(job.data);
    if (!envelope) return Promise.reject(new UnrecoverableError('not a job of this plane: no envelope'));
    const delivery: Delivery = { job, token, envelope, queue, instruments, lane, deps };
    return contextOf(envelope).run(() => processDelivery(delivery, handler));
  };
}

function contextOf({ meta }: Envelope): RunningContext {
  const { correlation_id: correlationId, causation_id: causationId, traceparent } = meta;
  return new RunningContext({ correlationId, causationId, traceparent });
}

async function processDelivery(delivery: Delivery, handler: JobHandler): Promise<unknown> {
  const { deps, envelope } = delivery;
  const pause = deps.failpoint('worker.before_begin');
  if (pause) await pause;
  try {
    const fetchedAt = performance.now();
    const begun = await beginRun(envelope.run, deps);
    if (typeof begun === 'string') return await refuseStart(begun, delivery);
    const startedAt = performance.now();
    const one = { ...delivery, begun, startedAt, recordMs: startedAt - fetchedAt };
    return await conclude(one, await handle(one, handler));
  } finally {
    deps.suspects.release(envelope.run);
  }
}

/** How a handler ended: with an outcome, or by throwing. */
interface Handled {
  readonly outcome: JobOutcome | undefined;
  readonly thrown: unknown;
  /** The payload as it came, as far as it was read. */
  readonly body?: unknown;
  /** The effect and the verdict are committed already. */
  readonly committed: boolean;
}

/**
 * Runs the handler as soon as the lane has a place: starts and ends are recorded outside of it.
 * Never throws: what the handler throws is part of the result.
 */
async function handle(one: Attempt, handler: JobHandler): Promise<Handled> {
  const { envelope, queue, lane, instruments, job: bull, deps } = one;
  const turn = lane.enter();
  if (turn) await turn;
  if (deps.deadlines.stopping) return leaveUnstarted(lane);
  const startedAt = turn ? performance.now() : one.startedAt;
  let deadline: Deadline | undefined;
  let job: RunningJob | undefined;
  let { body } = envelope;
  instruments.started(bull.timestamp + (bull.delay ?? 0));
  try {
    if (bull.name === probeKind) throw new ProbeDeath();
    const kind = queue.kinds[bull.name];
    if (!kind) throw new PermanentError(`queue ${queue.name} has no kind "${bull.name}"`);
    if (envelope.ref) body = await readLargePayload(deps.db, envelope.run, envelope.ref.sha256);
    const payload = checkPayload(body, kind.schema);
    const pause = deps.failpoint('worker.before_handler');
    if (pause) await pause;
    deadline = deps.deadlines.open(kind.timeoutMs ?? defaultTimeoutMs);
    job = new RunningJob(one, payload, deadline);
    const outcome = await deadline.within(handler(job));
    return { outcome, thrown: undefined, body, committed: job.committed };
  } catch (thrown) {
    return { outcome: undefined, thrown, body, committed: job?.committed === true };
  } finally {
    if (deadline) deps.deadlines.close(deadline);
    leave(one, performance.now() - startedAt);
  }
}

function leaveUnstarted(lane: Lane): Handled {
  lane.leave();
  return { outcome: undefined, thrown: new ShutdownAbort('the process is stopping'), committed: false };
}

function leave({ instruments, lane, recordMs }: Attempt, tookMs: number): void {
  instruments.ended(tookMs);
  lane.learn(tookMs, recordMs);
  lane.leave();
}

/** Records how the attempt ended, and tells BullMQ. Not `async`: it would be one more promise for each job. */
function conclude(one: Attempt, { outcome, thrown, body, committed }: Handled): unknown {
  // What the handler said or threw after its commit cannot undo it.
  if (committed) return endDone(one);
  if (outcome?.kind === 'done') return recordDone(one);
  const failed = (error: unknown) => describeFailure(error, body, pathsOfKind(one.queue, one.job.name));
  switch (outcome?.kind) {
    case undefined:
      return endFailed(one, failed(thrown));
    case 'snooze':
      return endSnoozed(one, outcome);
    case 'retry':
      return endFailed(one, failed(outcome.error));
    case 'bury':
      return endFailed(one, { ...failed(outcome.error), class: 'permanent' });
  }
}

/** Writes the verdict `done` of a handler that has not done so with its effect. */
async function recordDone(one: Attempt): Promise<unknown> {
  const { envelope, begun, deps, queue } = one;
  const pause = deps.failpoint('worker.before_verdict');
  if (pause) await pause;
  try {
    const isNewest = await deps.runs.finish({ runKey: envelope.run, started: begun.started });
    // The verdict of another attempt stands; what this one did outside of Postgres is done all the same.
    if (!isNewest) deps.log.warn('job_fenced', { queue: queue.name, job_id: envelope.run, attempt: begun.started });
  } catch (error) {
    return endFailed(one, describeFailure(error));
  }
  return endDone(one);
}
