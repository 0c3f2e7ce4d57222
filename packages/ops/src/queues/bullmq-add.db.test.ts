import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { connectRedis } from '../redis/index.ts';
import { testPrefix } from '../testing/index.ts';
import { addReady } from './bullmq-add.ts';

let redis: Redis;
beforeAll(() => {
  redis = connectRedis({ url: inject('redisUrl') });
});
afterAll(() => redis.disconnect());

const jobs = [
  { id: 'plain-1', priority: 0 },
  { id: 'urgent-1', priority: 3 },
  { id: 'plain-2', priority: 0 },
  { id: 'last-1', priority: 2_097_152 },
  { id: 'plain-1', priority: 0 },
  { id: 'urgent-2', priority: 3 },
];
const optionsOf = ({ id, priority }: (typeof jobs)[number]) => ({
  jobId: id,
  attempts: 3,
  backoff: { type: 'plane' },
  ...(priority > 0 && { priority }),
  removeOnComplete: true,
  removeOnFail: false,
});
const dataOf = (id: string) => `{"run":"${id}","body":{"text":"Grüße, \\u0000 \\"quoted\\""}}`;

interface Scene {
  readonly settings?: Record<string, string>;
  /** Told before. */
  readonly events?: number;
}

/** A queue as BullMQ opens it, with settings of its own. */
async function open({ settings = {}, events = 0 }: Scene = {}) {
  const [prefix, name] = [testPrefix(), 'work'];
  const queue = new Queue(name, { connection: redis, prefix });
  await queue.waitUntilReady();
  const key = (of: string) => `${prefix}:${name}:${of}`;
  // A queue that opens sets its own.
  while ((await redis.hexists(key('meta'), 'opts.maxLenEvents')) === 0);
  if (Object.keys(settings).length > 0) await redis.hset(key('meta'), settings);
  for (let n = 0; n < events; n += 1) await redis.xadd(key('events'), '*', 'event', 'progress', 'n', n);
  const untouched = { progress: 0, attemptsMade: 0, attemptsStarted: 0, stalledCounter: 0, failedReason: '' };
  return {
    queue,
    ours: () =>
      addReady(
        redis,
        `${prefix}:${name}`,
        jobs.map((job) => {
          const { id, priority } = job;
          return { id, name: 'task', data: dataOf(id), options: JSON.stringify(optionsOf(job)), priority };
        }),
      ),
    async theirs() {
      for (const job of jobs) {
        const entry = { ...untouched, id: job.id, name: 'task', data: dataOf(job.id), timestamp: Date.now() };
        await queue.getBackend().addJobs([{ jobId: job.id, job: { ...entry, returnvalue: '', opts: optionsOf(job) } }]);
      }
    },
    /** All that is in Redis of the queue, but for times. */
    async contents() {
      const keys = (await redis.keys(`${prefix}:*`)).map((full) => full.slice(key('').length)).toSorted();
      const hashes = await Promise.all([...new Set(jobs.map(({ id }) => id))].map((id) => redis.hgetall(key(id))));
      const events = await redis.xrange(key('events'), '-', '+');
      return {
        keys,
        jobs: hashes.map(({ timestamp, opts = '', ...hash }) => ({
          ...hash,
          opts: JSON.parse(opts) as unknown,
          isTimed: Number(timestamp) > 0,
        })),
        wait: await redis.lrange(key('wait'), 0, -1),
        prioritized: await redis.zrange(key('prioritized'), '0', '-1', 'WITHSCORES'),
        marker: await redis.zrange(key('marker'), '0', '-1', 'WITHSCORES'),
        counters: [await redis.get(key('id')), await redis.get(key('pc'))],
        meta: await redis.hgetall(key('meta')),
        events: events.map(([, fields]) => fields),
      };
    },
  };
}

describe('jobs that are added many at once', () => {
  it.each([
    ['an open queue', {}],
    ['a paused one', { settings: { paused: '1' } }],
    ['one that has reached its limit', { settings: { concurrency: '0' } }],
    // Redis cuts a stream by whole nodes of 100.
    ['one with too many events', { settings: { 'opts.maxLenEvents': '150' }, events: 420 }],
  ])('leave in %s what BullMQ leaves of them one by one, events included', async (_what, scene) => {
    const [ours, theirs] = await Promise.all([open(scene), open(scene)]);
    await ours.ours();
    await theirs.theirs();
    expect(await ours.contents()).toEqual(await theirs.contents());
    await Promise.all([ours.queue.close(), theirs.queue.close()]);
  });

  it('are read by BullMQ as its own', async () => {
    const { queue, ours } = await open();
    await ours();
    const [first] = await queue.getJobs(['wait'], 0, 0, true);
    expect(first).toMatchObject({
      id: 'plain-1',
      name: 'task',
      opts: { attempts: 3, removeOnFail: false },
      priority: 0,
    });
    expect(await queue.getJobCounts('wait', 'prioritized')).toEqual({ wait: 2, prioritized: 3 });
    await queue.close();
  });

  it('are refused as a whole where a key is something else', async () => {
    const { queue, ours } = await open();
    await redis.set(queue.toKey('events'), 'no stream');
    await expect(ours()).rejects.toThrow('WRONGTYPE');
    await queue.close();
  });
});
