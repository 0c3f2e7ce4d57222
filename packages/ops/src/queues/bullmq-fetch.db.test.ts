import { setTimeout as wait } from 'node:timers/promises';
import { type Job, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { workerConnection } from '../redis/index.ts';
import { testPrefix } from '../testing/index.ts';
import { fetchMany } from './bullmq-fetch.ts';

let redis: Redis;
beforeAll(() => {
  redis = workerConnection({ url: inject('redisUrl') });
});
afterAll(() => redis.disconnect());

const lockDuration = 60_000;

interface Scene {
  readonly waiting?: number;
  readonly urgent?: number;
  /** Jobs whose time comes in so many ms. */
  readonly delays?: readonly number[];
  readonly settings?: Record<string, string>;
}

/** A queue, and a worker that fetches from it by our script or by BullMQ's. */
async function open(by: 'ours' | 'theirs', { waiting = 0, urgent = 0, delays = [], settings = {} }: Scene) {
  const [prefix, name] = [testPrefix(), 'work'];
  const queue = new Queue(name, { connection: redis, prefix });
  await queue.waitUntilReady();
  const key = (of: string) => `${prefix}:${name}:${of}`;
  if (Object.keys(settings).length > 0) await redis.hset(key('meta'), settings);
  const add = (jobId: string, options: object) => queue.add('task', { of: jobId }, { jobId, attempts: 3, ...options });
  for (let n = 1; n <= waiting; n += 1) await add(`plain-${n}`, {});
  for (let n = 1; n <= urgent; n += 1) await add(`urgent-${n}`, { priority: 1 + (n % 2) });
  for (const [n, delay] of delays.entries()) await add(`later-${n}`, { delay });
  const options = { connection: redis, prefix, autorun: false, lockDuration };
  const worker = by === 'ours' ? new Worker(name, null, options, fetchMany(redis)) : new Worker(name, null, options);
  await worker.waitUntilReady();
  return {
    queue,
    key,
    /** Until the time of all delayed jobs has come. */
    async untilDue() {
      for (const { timestamp, delay } of await queue.getDelayed())
        while (Date.now() <= timestamp + delay) await wait(1);
    },
    /** Asks for jobs, ours all at once and theirs one by one, and tells what came. */
    async fetch(amount: number) {
      const next = async (n: number) => {
        try {
          return (await worker.getNextJob(`token-${n}`, { block: false })) as Job | undefined;
        } catch (error) {
          return { id: (error as Error).name } as Job;
        }
      };
      const jobs: (Job | undefined)[] = [];
      if (by === 'ours') jobs.push(...(await Promise.all(Array.from({ length: amount }, (_, n) => next(n)))));
      else for (let n = 0; n < amount; n += 1) jobs.push(await next(n));
      return jobs.map(
        (job) =>
          job && {
            id: job.id,
            data: job.data as unknown,
            options: job.opts,
            token: job.token,
            started: job.attemptsStarted,
            isTimed: (job.processedOn ?? 0) >= job.timestamp,
          },
      );
    },
    /** All that is in Redis of the queue, but for times. */
    async contents() {
      const keys = (await redis.keys(`${prefix}:*`)).map((full) => full.slice(key('').length)).toSorted();
      const ids = keys.filter((of) => /^[a-z]+-\d+$/.test(of));
      const hashes = await Promise.all(ids.map((id) => redis.hgetall(key(id))));
      const events = await redis.xrange(key('events'), '-', '+');
      return {
        keys,
        jobs: hashes.map(({ timestamp: _at, processedOn = '', ...hash }) => ({ ...hash, isTimed: processedOn !== '' })),
        locks: await Promise.all(ids.map((id) => redis.get(key(`${id}:lock`)))),
        wait: await redis.lrange(key('wait'), 0, -1),
        active: await redis.lrange(key('active'), 0, -1),
        prioritized: await redis.zrange(key('prioritized'), '0', '-1', 'WITHSCORES'),
        delayed: await redis.zrange(key('delayed'), '0', '-1'),
        marker: await redis.zrange(key('marker'), '0', '-1'),
        counter: await redis.get(key('pc')),
        meta: await redis.hgetall(key('meta')),
        events: events.map(([, [...fields]]) => fields.filter((_field, at) => fields[at - 1] !== 'delay')),
      };
    },
    async close() {
      await worker.close();
      await queue.close();
    },
  };
}

describe('jobs that are fetched many at once', () => {
  it.each<[string, Scene, number]>([
    ['with more than are wanted', { waiting: 5 }, 3],
    ['with fewer than are wanted', { waiting: 3 }, 5],
    ['with urgent ones', { waiting: 2, urgent: 5 }, 4],
    ['with nothing but urgent ones', { urgent: 3 }, 5],
    ['with nothing', {}, 3],
    ['with one whose time comes later', { waiting: 3, delays: [600_000] }, 5],
    ['with some whose time has come', { waiting: 2, delays: [1, 2] }, 3],
    ['that is paused', { waiting: 3, settings: { paused: '1' } }, 2],
    ['with a limit of jobs under way', { waiting: 4, settings: { concurrency: '2' } }, 3],
    ['with a limit of jobs in a time', { waiting: 4, settings: { max: '2', duration: '60000' } }, 3],
    ['with more than one call takes', { waiting: 400 }, 300],
  ])(
    'of a queue %s are those BullMQ fetches one by one, and so is what it leaves in Redis',
    async (_what, scene, amount) => {
      const [ours, theirs] = await Promise.all([open('ours', scene), open('theirs', scene)]);
      if (scene.delays?.every((delay) => delay < 10)) await Promise.all([ours.untilDue(), theirs.untilDue()]);
      const came = await ours.fetch(amount);
      expect(came.toSorted(byToken)).toEqual((await theirs.fetch(amount)).toSorted(byToken));
      expect(await ours.contents()).toEqual(await theirs.contents());
      await Promise.all([ours.close(), theirs.close()]);
    },
  );

  it.each([
    ['whose options are not JSON', 'opts', '{not json'],
    ['whose progress is not JSON', 'progress', 'half'],
  ])('are all handed out but the one %s, which is refused alone', async (_what, field, value) => {
    const { fetch, key, contents, close } = await open('ours', { waiting: 5 });
    await redis.hset(key('plain-3'), field, value);
    const came = await fetch(5);
    expect(came.map((job) => job?.id)).toEqual(['plain-1', 'plain-2', 'SyntaxError', 'plain-4', 'plain-5']);
    expect((await contents()).active).toHaveLength(5);
    await close();
  });

  it('are handed out where their count of starts is no number', async () => {
    const { fetch, key, close } = await open('ours', { waiting: 2 });
    await redis.hset(key('plain-1'), 'ats', 'many');
    expect((await fetch(2)).map((job) => job?.started)).toEqual([1, 1]);
    await close();
  });

  it('are locked as long as those of BullMQ', async () => {
    const { fetch, key, close } = await open('ours', { waiting: 2 });
    await fetch(2);
    for (const id of ['plain-1', 'plain-2']) {
      const left = await redis.pttl(key(`${id}:lock`));
      expect(left).toBeGreaterThan(lockDuration / 2);
      expect(left).toBeLessThanOrEqual(lockDuration);
    }
    await close();
  });

  it('count each start of theirs', async () => {
    const { fetch, queue, close, key } = await open('ours', { waiting: 2 });
    await fetch(2);
    // As the look for stalled jobs does.
    await redis.rpoplpush(key('active'), key('wait'));
    await redis.rpoplpush(key('active'), key('wait'));
    expect((await fetch(2)).map((job) => job?.started)).toEqual([2, 2]);
    await queue.close();
    await close();
  });
});

const byToken = (one: { token?: string | undefined } | undefined, other: { token?: string | undefined } | undefined) =>
  (one?.token ?? 'z').localeCompare(other?.token ?? 'z');
