import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import { noFailpoints } from '../failpoints/index.ts';
import { sql } from '../postgres/index.ts';
import { connectRedis } from '../redis/index.ts';
import { openTestPlane, type TestPlane } from '../testing/index.ts';
import { openRedisQueues, type RedisQueues } from './bullmq.ts';
import { type DispatchDeps, dispatchOnce } from './dispatch.ts';
import { createRegistry, defineQueue, enqueueMany } from './index.ts';

const kinds = { task: { schema: z.strictObject({ n: z.int() }), sideEffect: 'idempotent' as const } };
const one = defineQueue({ name: 'one', attempts: 1, backoffMs: [], kinds });
const other = defineQueue({ name: 'other', attempts: 1, backoffMs: [], kinds });

let plane: TestPlane;
let redis: ReturnType<typeof connectRedis>;
let queues: RedisQueues;

beforeEach(async () => {
  const redisUrl = inject('redisUrl');
  plane = await openTestPlane({ adminUrl: inject('databaseUrl'), redisUrl, queues: [one, other] });
  redis = connectRedis({ url: redisUrl });
  queues = openRedisQueues(redis, createRegistry([one, other]), plane.prefix);
});
afterEach(async () => {
  await queues.close();
  redis.disconnect();
  await plane.close();
});

const plan = (queue: typeof one, count: number, from = 0) =>
  plane.db.transaction((tx) =>
    enqueueMany(
      tx,
      queue,
      'task',
      Array.from({ length: count }, (_, at) => ({ key: `${queue.name}-${from + at}`, payload: { n: at } })),
    ),
  );
const deps = (overrides: Partial<DispatchDeps> = {}): DispatchDeps => ({
  db: plane.db,
  redis: queues,
  failpoint: noFailpoints,
  onDispatched: () => {},
  onRefused: async () => {},
  ...overrides,
});
const waiting = async (queue: string) => (await queues.counts(queue)).waiting;
const undispatched = async () =>
  (
    await plane.db.query<{ run_key: string }>(
      sql`select run_key from ops.job_outbox where dispatched_at is null order by id`,
    )
  ).rows.map(({ run_key }) => run_key);

describe('the dispatcher', () => {
  it('hands over each row once, however many dispatchers run', async () => {
    await plan(one, 1_200);
    const counted: number[] = [];
    const drain = async () => {
      while ((await dispatchOnce(deps({ onDispatched: (_queue, count) => counted.push(count) }))).dispatched > 0);
    };
    await Promise.all([drain(), drain(), drain()]);
    expect(counted.reduce((sum, count) => sum + count, 0)).toBe(1_200);
    expect(await waiting('one')).toBe(1_200);
    expect(await undispatched()).toEqual([]);
  });

  it('offers all rows again when a call failed half way, and Redis holds each once', async () => {
    await plan(one, 10);
    const half: RedisQueues = {
      ...queues,
      add: async (queue, jobs) => {
        await queues.add(queue, jobs.slice(0, 5));
        throw new Error('Connection is closed.');
      },
    };
    await expect(dispatchOnce(deps({ redis: half }))).rejects.toThrow('Connection is closed');
    expect(await undispatched()).toHaveLength(10);
    await dispatchOnce(deps());
    expect(await waiting('one')).toBe(10);
  });

  it('finds the row that Redis refuses, hands over its neighbours, and counts the refusal', async () => {
    await plan(one, 20);
    const refused: string[] = [];
    const picky: RedisQueues = {
      ...queues,
      add: async (queue, jobs) => {
        if (jobs.some(({ runKey }) => runKey === 'one-13')) throw new Error('ERR this job is not for me');
        await queues.add(queue, jobs);
      },
    };
    const result = await dispatchOnce(deps({ redis: picky, onRefused: async (runKey) => void refused.push(runKey) }));
    expect(result).toMatchObject({ dispatched: 19, refused: 1 });
    expect(refused).toEqual(['one-13']);
    expect(await undispatched()).toEqual(['one-13']);
  });

  it('leaves a backlog in Postgres when a queue is full, and goes on with the others', async () => {
    await plan(one, 3);
    await plan(other, 2);
    const full: RedisQueues = {
      ...queues,
      counts: async (queue) => ({ ...(await queues.counts(queue)), ...(queue === 'one' && { waiting: 10_000 }) }),
    };
    await dispatchOnce(deps({ redis: full }));
    expect(await waiting('other')).toBe(2);
    expect(await undispatched()).toEqual(['one-0', 'one-1', 'one-2']);
  });

  it('calls a queue full where it is told to', async () => {
    await plan(one, 3);
    await dispatchOnce(deps({ mostWaiting: 3 }));
    await plan(one, 2, 3);
    await dispatchOnce(deps({ mostWaiting: 3 }));
    expect(await waiting('one')).toBe(3);
    await dispatchOnce(deps({ mostWaiting: 4 }));
    expect(await waiting('one')).toBe(5);
  });

  it('keeps a delay as long as it still is', async () => {
    await plane.db.transaction((tx) =>
      enqueueMany(tx, one, 'task', [{ key: 'later', payload: { n: 1 }, delayMs: 60_000 }]),
    );
    await dispatchOnce(deps());
    expect(await queues.counts('one')).toMatchObject({ waiting: 0, delayed: 1 });
  });
});

describe('the overview', () => {
  it('counts from Redis, and from Postgres while Redis is away', async () => {
    await plan(one, 3);
    await dispatchOnce(deps());
    await plan(one, 2, 10);
    const { readOverview } = await import('./overview.ts');
    const registry = createRegistry([one, other]);
    const live = await readOverview(plane.db, queues, registry, () => new Date());
    expect(live).toMatchObject({
      counted_from: 'redis',
      queues: [
        { name: 'one', depth: 3, not_dispatched: 2, active: 0, dlq_size: 0 },
        { name: 'other', depth: 0 },
      ],
    });
    const away: RedisQueues = { ...queues, counts: () => Promise.reject(new Error('ECONNREFUSED')) };
    const stored = await readOverview(plane.db, away, registry, () => new Date());
    expect(stored).toMatchObject({
      counted_from: 'postgres',
      queues: [{ name: 'one', depth: 5, not_dispatched: 2, paused: null }, { depth: 0 }],
    });
    expect(stored.queues[0]?.oldest_job_age_s).toBeGreaterThanOrEqual(0);
    expect(stored.queues[1]?.oldest_job_age_s).toBeNull();
  });
});

describe('retention', () => {
  it('removes finished runs after 30 days, and never an open or a dead one', async () => {
    await plan(one, 4);
    await plane.db.query(sql`
      update ops.job_run set state = 'dead', cause = 'permanent', started = 1, finished = 1,
        died_at = clock_timestamp() - interval '99 days', finished_at = clock_timestamp() - interval '99 days' where run_key = 'one-3'`);
    await plane.db.query(sql`update ops.job_run set enqueued_at = enqueued_at - interval '31 days'`);
    await plane.db.query(sql`
      update ops.job_run set state = 'done', started = 1, finished = 1, finished_at = clock_timestamp() - interval '31 days' where run_key = 'one-0'`);
    await plane.db.query(sql`
      update ops.job_run set state = 'done', started = 1, finished = 1, finished_at = clock_timestamp() - interval '29 days' where run_key = 'one-1'`);
    const { retainJobs } = await import('./retention.ts');
    expect(await retainJobs(plane.db)).toMatchObject({ deleted: { job_run: 1 } });
    const { rows } = await plane.db.query<{ run_key: string }>(sql`select run_key from ops.job_run order by run_key`);
    expect(rows.map(({ run_key }) => run_key)).toEqual(['one-1', 'one-2', 'one-3']);
  });
});
