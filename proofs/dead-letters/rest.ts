import { type Database, sql } from '../../packages/ops/src/postgres/index.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { settles } from '../harness/settled.ts';
import type { Redis } from './ground.ts';
import { prefix, type ProofQueue, queues } from './jobs.ts';

/** From the end of the faults until everything must have its verdict. */
const settlesWithinMs = 60_000;

/**
 * Waits until nothing is due, no letter is being retried and Redis has let go of every job of the queues that somebody works on.
 * False when it is late.
 */
export async function rests(db: Database, redis: Redis, worked: readonly ProofQueue[] = queues): Promise<boolean> {
  if (!(await settles(db, settlesWithinMs))) return false;
  const retrying = sql`select from ops.dead_letter_queue where state = 'retrying' limit 1`;
  return pollUntil(
    async () => {
      const counts = await Promise.all(worked.map(({ name }) => busy(redis, name)));
      return counts.every((count) => count === 0) && (await db.query(retrying)).rowCount === 0;
    },
    { deadlineMs: settlesWithinMs, everyMs: 50 },
  ).catch(() => false);
}

/** Jobs that Redis has not let go of: their runs are decided, but BullMQ has yet to hear it. */
export async function busy(redis: Redis, queue: string): Promise<number> {
  const key = (name: string) => `${prefix}:${queue}:${name}`;
  const [wait, prioritized, active, failed] = await Promise.all([
    redis.llen(key('wait')),
    redis.zcard(key('prioritized')),
    redis.llen(key('active')),
    redis.zcard(key('failed')),
  ]);
  return wait + prioritized + active + failed;
}
