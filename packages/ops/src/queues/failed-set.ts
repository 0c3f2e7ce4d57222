import type { Redis } from 'ioredis';
import { withDeadline } from '../redis/index.ts';

/** BullMQ's failed sets, key by key: with `bullmq.ts` and `bullmq-inspection.ts` all this library knows of BullMQ's layout. */

/** A job of a failed set, as Redis has it. Content may be anything: others write here too. */
export interface FailedJob {
  readonly id: string;
  readonly name: string;
  readonly data: Buffer | undefined;
  readonly failedReason: string;
  readonly stack: string;
  readonly attemptsMade: number;
  /** The attempts its options allow; 1 without. */
  readonly attempts: number;
  /** As Redis has it, to recognise the job by. Empty when its hash is gone. */
  readonly finishedOn: string;
  /** A child of a flow: removing it would change its parent. */
  readonly hasParent: boolean;
}

export interface FailedSets {
  /** `count` jobs of the failed set from rank `from`, oldest first. */
  read(queue: string, from: number, count: number): Promise<FailedJob[]>;
  /** Removes those which are still in the failed set as they were read. Answers how many. */
  forget(queue: string, jobs: readonly FailedJob[]): Promise<number>;
  /**
   * Moves to the failed set what stalled and no worker can parse. BullMQ throws when it fetches such a job, before it would fail it: left
   * alone it is offered for ever, and costs a worker a second each time. Answers how many.
   */
  failUnreadable(queue: string): Promise<number>;
}

const answerWithinMs = 5_000;

/**
 * KEYS[1] the failed set · KEYS[2] the job's hash · ARGV[1] id · ARGV[2] the `finishedOn` it was read with.
 * Returns 1 when the job was removed, 0 when it is no longer the failed job that was read.
 */
const forgetScript = `
if (redis.call('HGET', KEYS[2], 'finishedOn') or '') ~= ARGV[2] then return 0 end
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[2], KEYS[2] .. ':logs', KEYS[2] .. ':dependencies', KEYS[2] .. ':processed', KEYS[2] .. ':failed', KEYS[2] .. ':unsuccessful')
return 1`;

/** KEYS[1] the active list · KEYS[2] the failed set · KEYS[3] the job's hash · ARGV[1] id · ARGV[2] now in ms · ARGV[3] why. */
const failScript = `
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[3] .. ':lock')
redis.call('HSET', KEYS[3], 'finishedOn', ARGV[2], 'failedReason', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1`;

/** Jobs under way that are looked at, the newest first: as many as several processes have in hand. */
const mostActive = 5_000;

export function openFailedSets(redis: Redis, prefix: string): FailedSets {
  const bounded = <T>(call: Promise<T>) => withDeadline(call, answerWithinMs, 'Redis');
  return {
    async read(queue, from, count) {
      const ids = await bounded(redis.zrange(`${prefix}:${queue}:failed`, String(from), String(from + count - 1)));
      if (ids.length === 0) return [];
      const pipeline = redis.pipeline();
      for (const id of ids) pipeline.hgetallBuffer(`${prefix}:${queue}:${id}`);
      const replies = (await bounded(pipeline.exec())) ?? [];
      return ids.map((id, at) => jobOf(id, (replies[at]?.[1] ?? {}) as Record<string, Buffer>));
    },
    async forget(queue, jobs) {
      if (jobs.length === 0) return 0;
      const pipeline = redis.pipeline();
      for (const { id, finishedOn } of jobs) {
        pipeline.eval(forgetScript, 2, `${prefix}:${queue}:failed`, `${prefix}:${queue}:${id}`, id, finishedOn);
      }
      const replies = (await bounded(pipeline.exec())) ?? [];
      const failure = replies.find(([error]) => error)?.[0];
      if (failure) throw failure;
      return replies.filter(([, removed]) => removed === 1).length;
    },
    async failUnreadable(queue) {
      const key = (name: string) => `${prefix}:${queue}:${name}`;
      const active = await bounded(redis.lrange(key('active'), 0, mostActive - 1));
      if (active.length === 0) return 0;
      const pipeline = redis.pipeline();
      for (const id of active) pipeline.hget(key(id), 'stc');
      const counts = (await bounded(pipeline.exec())) ?? [];
      const stalled = active.filter((_id, at) => Number(counts[at]?.[1]) > 0);
      let failed = 0;
      for (const id of stalled) {
        if ((await bounded(redis.hmget(key(id), ...parsedFields))).every(isJson)) continue;
        const keys = [key('active'), key('failed'), key(id)];
        failed += Number(
          await bounded(redis.eval(failScript, 3, ...keys, id, Date.now(), 'not JSON: no worker can read it')),
        );
      }
      return failed;
    },
  };
}

/** What BullMQ parses of a job before anybody sees it. */
const parsedFields = ['data', 'opts', 'progress', 'parent'] as const;

/** As BullMQ reads a field of a job: an absent one is empty. */
function isJson(text: string | null | undefined): boolean {
  return !text || parsed(text) !== undefined;
}

function jobOf(id: string, hash: Record<string, Buffer>): FailedJob {
  const text = (field: string) => hash[field]?.toString('utf8') ?? '';
  return {
    id,
    name: text('name') || 'unknown',
    data: hash.data,
    failedReason: text('failedReason'),
    stack: newestTrace(text('stacktrace')),
    attemptsMade: Number(text('atm')) || 0,
    attempts: attemptsOf(text('opts')),
    finishedOn: text('finishedOn'),
    hasParent: 'parentKey' in hash,
  };
}

function newestTrace(json: string): string {
  const traces = parsed(json);
  const newest: unknown = Array.isArray(traces) ? traces.at(-1) : undefined;
  return typeof newest === 'string' ? newest : '';
}

function attemptsOf(json: string): number {
  const options = parsed(json) as { attempts?: unknown } | undefined;
  return typeof options?.attempts === 'number' ? options.attempts : 1;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
