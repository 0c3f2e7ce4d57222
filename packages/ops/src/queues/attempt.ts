import { DelayedError, type Job as BullJob } from 'bullmq';
import type { Failpoint } from '../failpoints/index.ts';
import type { Logger } from '../logging/index.ts';
import type { EndedJob } from './bullmq-end.ts';
import type { DeathWriter } from './death.ts';
import type { Deadlines } from './deadlines.ts';
import type { QueueDefinition } from './definition.ts';
import type { Envelope } from './envelope.ts';
import type { Failure } from './failure.ts';
import type { QueueInstruments } from './instruments.ts';
import type { Lane } from './lane.ts';
import type { Begun } from './run-writer.ts';
import type { StartDeps } from './start.ts';

/** What every processor of a process shares. */
export interface ProcessDeps extends StartDeps {
  readonly log: Logger;
  readonly workerId: string;
  readonly failpoint: Failpoint;
  readonly deaths: DeathWriter;
  /** Takes a job out of Redis, as one that failed. */
  readonly end: (job: EndedJob) => Promise<void>;
  readonly deadlines: Deadlines;
  /** Told when Postgres or Redis was away, so that the worker stops fetching until they are back. */
  readonly onInfrastructureFailure: () => void;
  readonly random: () => number;
}

/** A job as BullMQ handed it over, and the queue it came from. */
export interface Delivery {
  readonly job: BullJob<unknown>;
  readonly token: string | undefined;
  readonly envelope: Envelope;
  readonly queue: QueueDefinition;
  readonly instruments: QueueInstruments;
  readonly lane: Lane;
  readonly deps: ProcessDeps;
}

/** A delivery whose start is recorded. */
export interface Attempt extends Delivery {
  readonly begun: Begun;
  /** Monotonic ms. */
  readonly startedAt: number;
  /** How long the record of the start took, in ms. */
  readonly recordMs: number;
}

/** BullMQ gets this for every finished job: nothing of the payload may come back through Redis. */
export const finished = { ok: 1 };

/** Puts a job back without using an attempt. */
export async function putBack({ job, token }: Delivery, delayMs: number): Promise<never> {
  await job.moveToDelayed(Date.now() + delayMs, token);
  throw new DelayedError();
}

/** The fixed block of a log line about a job. */
export function blockOf({ job, begun, queue }: Attempt) {
  return {
    queue: queue.name,
    job_name: job.name,
    job_id: job.id,
    attempt: begun.started,
    max_attempts: begun.maxAttempts,
    wait_ms: Math.max(0, (job.processedOn ?? 0) - job.timestamp - (job.delay ?? 0)),
  };
}

export function evidenceOf({ type, message, code }: Failure) {
  return { type, message, code, stack: '' };
}
