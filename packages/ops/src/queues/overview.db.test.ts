import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { type Database, sql } from '../postgres/index.ts';
import { connectRedis } from '../redis/index.ts';
import { pollUntil } from '../testing/index.ts';
import { openRedisQueues, type RedisQueues } from './bullmq.ts';
import { bury, createRegistry } from './index.ts';
import { readOverview } from './overview.ts';
import { readOldestLetters } from './overview-queries.ts';
import { openWork, work } from './work.fixture.ts';

let opened: Awaited<ReturnType<typeof openWork>>;
let redis: ReturnType<typeof connectRedis>;
let queues: RedisQueues;
let db: Database;
const registry = createRegistry([work]);

beforeEach(async () => {
  opened = await openWork();
  ({ db } = opened.plane);
  redis = connectRedis({ url: inject('redisUrl') });
  queues = openRedisQueues(redis, registry, opened.plane.prefix);
});
afterEach(async () => {
  await queues.close();
  redis.disconnect();
  await opened.plane.close();
});

const read = async (from: RedisQueues = queues) => {
  const overview = await readOverview(db, from, registry, () => new Date());
  return { ...overview.queues[0], counted_from: overview.counted_from };
};
const dueSince = (key: string, seconds: number) =>
  db.query(sql`update ops.job_run set run_at = clock_timestamp() - ${seconds} * interval '1 s' where run_key = ${key}`);
const delivered = () => pollUntil(async () => (await opened.undispatched()) === 0);

describe('the oldest job of a queue', () => {
  it('is the one that could run for longest, in whatever order they came', async () => {
    for (const n of [1, 2, 3]) await opened.plan(n);
    await dueSince('task-2', 600);
    expect((await read()).oldest_job_age_s).toBeCloseTo(600, -1);
    await dueSince('task-2', -600);
    expect((await read()).oldest_job_age_s).toBeLessThan(60);
  });

  it('is found behind many that wait for their time, by what Redis fetches next', async () => {
    for (let n = 0; n < 201; n += 1) await opened.plan(n);
    await opened.plane.start(opened.plane.relay());
    await delivered();
    await db.query(
      sql`update ops.job_run set run_at = clock_timestamp() + interval '1 hour' where run_key <> 'task-200'`,
    );
    await dueSince('task-200', 600);
    const heads = { ...queues, heads: async () => ['task-200'] };
    expect((await read(heads)).oldest_job_age_s).toBeCloseTo(600, -1);
  });
});

describe('a queue that Redis cannot tell of', () => {
  it('is counted from Postgres within two seconds, and keeps what Postgres alone knows', async () => {
    await opened.plan(1);
    const silent = { ...queues, counts: () => new Promise<never>(() => {}) };
    const startedAt = performance.now();
    expect(await read(silent)).toMatchObject({
      counted_from: 'postgres',
      depth: 1,
      not_dispatched: 1,
      paused_in_redis: null,
    });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});

describe('the gauge of neglected dead letters', () => {
  it('is the age of the oldest open one, and 0 where there is none', async () => {
    const { plane } = opened;
    expect(await plane.metrics.render()).toContain('fmhl_dlq_oldest_age_seconds{queue="work"} 0');
    await plane.run({ work: async () => bury(new Error('no')) });
    await opened.plan(1);
    await opened.settled('task-1', 'dead');
    await db.query(sql`update ops.dead_letter_queue set failed_at = failed_at - interval '1 hour'`);
    expect((await readOldestLetters(db, ['work'])).get('work')).toBeGreaterThan(3_600);
  });
});
