import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { z } from 'zod';
import type { Actor } from '../audit/index.ts';
import { sql } from '../postgres/index.ts';
import { createRegistry, defineQueue, enqueue, openRedisQueues } from '../queues/index.ts';
import { connectRedis } from '../redis/index.ts';
import { openTestPlane, pollUntil } from '../testing/index.ts';

export const ana: Actor = { id: '7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10', name: 'Ana', via: 'http' };

const task = z.strictObject({ n: z.int(), email: z.string().optional() });

/** Queues to control. */
export const work = defineQueue({
  name: 'work',
  aliases: ['labour'],
  attempts: 3,
  backoffMs: [20],
  kinds: { task: { schema: task, sideEffect: 'guarded' }, later: { schema: task, sideEffect: 'guarded', priority: 5 } },
});
export const other = defineQueue({
  name: 'other',
  attempts: 1,
  backoffMs: [],
  kinds: { task: { schema: task, sideEffect: 'guarded' } },
});

/** A plane with both queues of which nothing runs yet, and its queues in Redis. */
export async function openControl(options: Partial<Parameters<typeof openTestPlane>[0]> = {}) {
  const redisUrl = inject('redisUrl');
  const plane = await openTestPlane({ adminUrl: inject('databaseUrl'), redisUrl, queues: [work, other], ...options });
  const redis = connectRedis({ url: redisUrl });
  const registry = createRegistry([work, other]);
  const queues = openRedisQueues(redis, registry, plane.prefix);
  const plan = (key: string, options: { delayMs?: number; kind?: 'task' | 'later' } = {}) =>
    plane.db.transaction((tx) =>
      enqueue(tx, work, options.kind ?? 'task', { n: 1, email: 'ana@example.com' }, { key, ...options }),
    );
  return {
    plane,
    db: plane.db,
    registry,
    queues,
    plan,
    handedOver: () =>
      pollUntil(
        async () => (await plane.db.query(sql`select from ops.job_outbox where dispatched_at is null`)).rowCount === 0,
      ),
    run: async (key: string) =>
      (await plane.db.query<Record<string, unknown>>(sql`select * from ops.job_run where run_key = ${key}`)).rows[0],
    audits: async (action: string) =>
      (
        await plane.db.query<Record<string, unknown>>(
          sql`select actor_name, target_id, reason, details from ops.audit_log where action = ${action} order by seq`,
        )
      ).rows,
    async close() {
      await queues.close();
      redis.disconnect();
      await plane.close();
    },
  };
}

/** Removes one key of a queue, as a Redis without persistence does when it starts again. */
export async function forgetKey(prefix: string, queue: string, name: string): Promise<void> {
  const redis = new Redis(inject('redisUrl'));
  await redis.del(`${prefix}:${queue}:${name}`);
  redis.disconnect();
}
