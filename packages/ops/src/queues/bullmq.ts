import { type Job as BullJob, DelayedError, type JobJson, Queue, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { withDeadline } from '../redis/index.ts';
import { type AddedJob, addReady } from './bullmq-add.ts';
import type { EndedJob } from './bullmq-end.ts';
import { fetchMany } from './bullmq-fetch.ts';
import { inspectRedis, type RedisInspection } from './bullmq-inspection.ts';
import { withoutStack } from './failure.ts';
import type { QueueRegistry } from './registry.ts';

/** Everything this library knows of BullMQ's options, states and keys is in this file and its neighbours `bullmq-*.ts`. */

/** A job as the dispatcher hands it over. */
export interface Handover {
  readonly runKey: string;
  readonly kind: string;
  /** JSON of an `Envelope`, which goes to Redis as it is. */
  readonly envelope: string;
  readonly attempts: number;
  readonly priority: number;
  readonly delayMs: number;
}

export interface RedisCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly failed: number;
  readonly paused: boolean;
}

/** The queues of the registry in one Redis. */
export interface RedisQueues extends RedisInspection {
  /** Adds jobs; ids that exist are left as they are. Throws when Redis refuses one of them, or does not answer in 5 s. */
  add(queue: string, jobs: readonly Handover[]): Promise<void>;
  counts(queue: string): Promise<RedisCounts>;
  /** Which of these runs Redis does not hold. */
  lost(queue: string, runKeys: readonly string[]): Promise<string[]>;
  remove(queue: string, runKey: string): Promise<void>;
  pause(queue: string): Promise<void>;
  resume(queue: string): Promise<void>;
  /** Lets those of these jobs that wait for their time wait no longer; leaves the others as they are. */
  promote(queue: string, runKeys: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

const answerWithinMs = 5_000;
/** A look at what is there gets less: an operator waits for it, and Postgres has an answer too. */
const lookWithinMs = 1_000;

export function openRedisQueues(redis: Redis, registry: QueueRegistry, prefix: string): RedisQueues {
  const queues = new Map(
    registry.names.map((name) => [name, new Queue(name, { connection: redis, prefix, skipWaitingForReady: true })]),
  );
  // Connection errors are reported by the connection's owner; without a listener they would end the process.
  for (const queue of queues.values()) queue.on('error', () => {});
  const named = (name: string): Queue => {
    const queue = queues.get(name);
    if (!queue) throw new TypeError(`no queue "${name}" is registered`);
    return queue;
  };
  const bounded = <T>(call: Promise<T>) => withDeadline(call, answerWithinMs, 'Redis');
  const look = <T>(call: Promise<T>) => withDeadline(call, lookWithinMs, 'Redis');
  const inspection = inspectRedis(redis, prefix, look);
  return {
    ...inspection,
    async add(name, jobs) {
      const queue = named(name);
      const isReady = ({ delayMs }: Handover) => delayMs <= 0;
      await bounded(addReady(redis, `${prefix}:${name}`, jobs.filter(isReady).map(readyOf)));
      const later = jobs.filter((job) => !isReady(job));
      // What `addBulk` does in the end. Before that it makes of each job an object that can do all a job can, and encodes its data anew.
      if (later.length > 0) await bounded(queue.getBackend().addJobs(later.map(entryOf)));
    },
    async counts(name) {
      const queue = named(name);
      const [counts, paused] = await look(
        Promise.all([queue.getJobCounts('wait', 'prioritized', 'active', 'delayed', 'failed'), queue.isPaused()]),
      );
      const { wait = 0, prioritized = 0, active = 0, delayed = 0, failed = 0 } = counts;
      return { waiting: wait + prioritized, active, delayed, failed, paused };
    },
    async lost(name, runKeys) {
      const pipeline = redis.pipeline();
      for (const key of runKeys) pipeline.exists(`${prefix}:${name}:${key}`);
      const replies = (await bounded(pipeline.exec())) ?? [];
      const failure = replies.find(([error]) => error)?.[0];
      if (failure) throw failure;
      return runKeys.filter((_key, at) => replies[at]?.[1] !== 1);
    },
    async remove(name, runKey) {
      await bounded(named(name).remove(runKey));
    },
    async pause(name) {
      await bounded(named(name).pause());
    },
    async resume(name) {
      await bounded(named(name).resume());
    },
    async promote(name, runKeys) {
      const delayed = await inspection.delayed(name, runKeys);
      await bounded(Promise.all(delayed.map((runKey) => promoteJob(named(name), runKey))));
    },
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}

/** A job whose time came meanwhile is no longer delayed, which is what was wanted. */
async function promoteJob(queue: Queue, runKey: string): Promise<void> {
  const job = (await queue.getJob(runKey)) as BullJob<unknown> | undefined;
  await job?.promote().catch((error: unknown) => {
    if (!(error instanceof Error && error.message.includes('delayed'))) throw error;
  });
}

/** A job that has done nothing yet. */
const untouched = {
  progress: 0,
  attemptsMade: 0,
  attemptsStarted: 0,
  stalledCounter: 0,
  failedReason: '',
  returnvalue: '',
};

function entryOf(job: Handover): { job: JobJson; jobId: string } {
  const { runKey: id, kind: name, envelope: data } = job;
  return { jobId: id, job: { ...untouched, id, name, data, opts: jobOptions(job), timestamp: Date.now() } };
}

function readyOf(job: Handover): AddedJob {
  const { runKey: id, kind: name, envelope: data, priority } = job;
  return { id, name, data, options: JSON.stringify(jobOptions(job)), priority };
}

/**
 * The only place that sets job options. BullMQ applies the keep options of the job that just finished to the whole failed set,
 * so one producer with `removeOnFail: 1` would delete everybody's failures.
 */
function jobOptions(job: Handover) {
  return {
    jobId: job.runKey,
    attempts: job.attempts,
    backoff: { type: 'plane' },
    ...(job.priority > 0 && { priority: job.priority }),
    ...(job.delayMs > 0 && { delay: job.delayMs }),
    removeOnComplete: true,
    removeOnFail: false,
  };
}

/**
 * Takes a job whose death Postgres has captured out of Redis, so that nobody has to sweep it, and answers what to throw to BullMQ: that the
 * job is elsewhere already. Where `end` fails, BullMQ fails and removes the job by itself, again and again while Redis is away. A child of a
 * flow stays in the failed set: its removal would change its parent.
 */
export async function endForGood(
  job: BullJob<unknown>,
  token: string | undefined,
  message: string,
  end: (job: EndedJob) => Promise<void>,
): Promise<Error> {
  if (job.parentKey) return withoutStack(() => new UnrecoverableError(message));
  const { id, attemptsMade, opts } = job;
  if (id !== undefined && token !== undefined) {
    try {
      await end({ id, token, reason: message, attemptsMade: attemptsMade + 1, attempts: opts.attempts ?? 1 });
      return withoutStack(() => new DelayedError());
    } catch {}
  }
  job.opts.removeOnFail = true;
  return withoutStack(() => new UnrecoverableError(message));
}

/** Thrown to BullMQ for an attempt that will be tried again after `delayMs`. */
export class AttemptFailed extends Error {
  override name = 'AttemptFailed';
  readonly delayMs: number;

  constructor(message: string, delayMs: number) {
    super(message);
    this.delayMs = delayMs;
  }
}

export interface BullWorkerOptions {
  readonly connection: Redis;
  readonly prefix: string;
  readonly concurrency: number;
  readonly lockMs: number;
  readonly onError: (error: Error) => void;
  readonly onStalled: () => void;
  readonly onCompleted?: (() => void) | undefined;
}

export type Process = (job: BullJob<unknown>, token: string | undefined) => Promise<unknown>;

/** Stalls are counted in Postgres, where the count survives Redis; BullMQ's own limit only has to be the larger one. */
const stallLimit = 5;

/** A BullMQ worker that waits for `run()`. */
export function openBullWorker(queue: string, process: Process, options: BullWorkerOptions): Worker {
  const worker = new Worker<unknown>(
    queue,
    process,
    {
      connection: options.connection,
      prefix: options.prefix,
      concurrency: options.concurrency,
      autorun: false,
      lockDuration: options.lockMs,
      stalledInterval: options.lockMs,
      maxStalledCount: stallLimit,
      runRetryDelay: 1_000,
      settings: {
        backoffStrategy: (_made, _type, error) => (error instanceof AttemptFailed ? error.delayMs : 1_000),
      },
    },
    fetchMany(options.connection),
  );
  worker.on('error', options.onError);
  worker.on('stalled', options.onStalled);
  if (options.onCompleted) worker.on('completed', options.onCompleted);
  return worker;
}
