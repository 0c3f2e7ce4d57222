import { type Job, Queue, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { workerConnection } from '../redis/index.ts';
import { testPrefix } from '../testing/index.ts';
import { openEnds } from './bullmq-end.ts';

let redis: Redis;
beforeAll(() => {
  redis = workerConnection({ url: inject('redisUrl') });
});
afterAll(() => redis.disconnect());

const reason = 'Error: no place for "it"';

/** A queue of jobs, as many of them under way as are asked for. */
async function open({
  jobs,
  fetched,
  settings = {},
  events = 0,
}: {
  jobs: number;
  fetched: number;
  settings?: object;
  /** That were told meanwhile. */
  events?: number;
}) {
  const [prefix, name] = [testPrefix(), 'work'];
  const queue = new Queue(name, { connection: redis, prefix });
  await queue.waitUntilReady();
  const key = (of: string) => `${prefix}:${name}:${of}`;
  // Every other one has used its attempts up.
  for (let n = 1; n <= jobs; n += 1) {
    await queue.add('task', { n }, { jobId: `task-${n}`, attempts: 1 + (n % 2), removeOnFail: false });
  }
  const worker = new Worker(name, null, { connection: redis, prefix, autorun: false });
  const held: { job: Job; token: string }[] = [];
  for (let n = 0; n < fetched; n += 1) {
    const token = `token-${n}`;
    const job = (await worker.getNextJob(token)) as Job | undefined;
    if (job) held.push({ job, token });
  }
  // A queue that opens sets its own.
  if (Object.keys(settings).length > 0) await redis.hset(key('meta'), settings);
  for (let n = 0; n < events; n += 1) await redis.xadd(key('events'), '*', 'event', 'progress', 'n', n);
  const end = openEnds(redis, `${prefix}:${name}`);
  return {
    held,
    ours: async (some = held) => {
      const ended = some.map(({ job, token }) => ({
        id: job.id ?? '',
        token,
        reason,
        attemptsMade: job.attemptsMade + 1,
        attempts: job.opts.attempts ?? 1,
      }));
      await Promise.all(ended.map(end));
    },
    async theirs() {
      for (const { job, token } of held) {
        job.opts.removeOnFail = true;
        await job.moveToFailed(new UnrecoverableError(reason), token, false);
      }
    },
    /** All that is in Redis of the queue, but for times. */
    async contents() {
      const keys = (await redis.keys(`${prefix}:*`)).map((full) => full.slice(key('').length)).toSorted();
      const events = await redis.xrange(key('events'), '-', '+');
      return {
        keys,
        active: await redis.lrange(key('active'), 0, -1),
        wait: await redis.lrange(key('wait'), 0, -1),
        failed: await redis.zrange(key('failed'), '0', '-1'),
        stalled: await redis.smembers(key('stalled')),
        meta: await redis.hgetall(key('meta')),
        events: events.map(([, fields]) => fields),
      };
    },
    key,
    async close() {
      await worker.close();
      await queue.close();
    },
  };
}

describe('jobs that are ended many at once', () => {
  it.each([
    ['with others that wait', { jobs: 5, fetched: 3 }],
    ['with others under way', { jobs: 3, fetched: 3 }],
    ['with another length of its events', { jobs: 4, fetched: 4, settings: { 'opts.maxLenEvents': '4' } }],
    // Redis cuts a stream by whole nodes of 100.
    ['with too many events', { jobs: 3, fetched: 2, settings: { 'opts.maxLenEvents': '150' }, events: 420 }],
  ])('leave of a queue %s what BullMQ leaves of them one by one, events included', async (_what, options) => {
    const [ours, theirs] = await Promise.all([open(options), open(options)]);
    await ours.ours();
    await theirs.theirs();
    expect(await ours.contents()).toEqual(await theirs.contents());
    await Promise.all([ours.close(), theirs.close()]);
  });

  it('are left alone by whoever does not hold their lock', async () => {
    const { ours, held, contents, close, key } = await open({ jobs: 3, fetched: 3 });
    const [first, second, third] = held;
    if (!first || !second || !third) throw new TypeError('three jobs are under way');
    await redis.set(key(`${first.job.id}:lock`), 'another');
    await redis.del(key(`${second.job.id}:lock`));
    await ours();
    const { active, keys } = await contents();
    expect(active.toSorted()).toEqual(['task-1', 'task-2']);
    expect(keys).not.toContain(third.job.id);
    await ours();
    expect((await contents()).active).toHaveLength(2);
    await close();
  });

  it('are refused as a whole where a key is something else', async () => {
    const { ours, key, close } = await open({ jobs: 1, fetched: 1 });
    await redis.del(key('events'));
    await redis.set(key('events'), 'no stream');
    await expect(ours()).rejects.toThrow('WRONGTYPE');
    await close();
  });
});
