import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { z } from 'zod';
import { sql } from '../postgres/index.ts';
import { openTestPlane, pollUntil, type TestPlane } from '../testing/index.ts';
import { defineQueue, done, enqueue, type Job, type JobHandler } from './index.ts';

/** A queue to try the worker on. */
export const work = defineQueue({
  name: 'work',
  aliases: ['labour'],
  attempts: 3,
  backoffMs: [20, 40],
  kinds: { task: { schema: z.strictObject({ n: z.int() }), sideEffect: 'guarded' } },
});
export type Task = { n: number };

/** A plane with the queue `work`, and a table of effects without a unique key: a doubled effect shows in place of being prevented. */
export async function openWork(options: Partial<Parameters<typeof openTestPlane>[0]> = {}) {
  const plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [work],
    ...options,
  });
  await plane.db.query(sql`create table effect (n int not null, at timestamptz default now())`);
  return { plane, ...watch(plane) };
}

function watch(plane: TestPlane) {
  const run = async (key: string) => {
    const { rows } = await plane.db.query<Record<string, unknown>>(
      sql`select * from ops.job_run where run_key = ${key}`,
    );
    return rows[0];
  };
  return {
    run,
    plan: (n: number, key = `task-${n}`) => plane.db.transaction((tx) => enqueue(tx, work, 'task', { n }, { key })),
    settled: (key: string, state: 'done' | 'dead') =>
      pollUntil(async () => {
        const row = await run(key);
        return row?.state === state && row;
      }),
    effects: async () =>
      (
        await plane.db.query<{ n: number; times: number }>(
          sql`select n, count(*)::int as times from effect group by n order by n`,
        )
      ).rows,
    undispatched: async () =>
      (await plane.db.query(sql`select 1 from ops.job_outbox where dispatched_at is null`)).rows.length,
  };
}

/** Writes its number into the table of effects, in one commit with the verdict. */
export const effectOnce: JobHandler<Task> = async (job: Job<Task>) => {
  await job.commit(async (tx) => void (await tx.query(sql`insert into effect (n) values (${job.payload.n})`)));
  return done;
};

/** What a FLUSHALL does, for the keys of this test alone. */
export async function forget(prefix: string): Promise<void> {
  const redis = new Redis(inject('redisUrl'));
  const keys = await redis.keys(`${prefix.replaceAll(/[{}]/g, '\\$&')}*`);
  if (keys.length > 0) await redis.del(keys);
  redis.disconnect();
}
