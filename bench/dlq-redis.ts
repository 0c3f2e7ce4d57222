/** What the benchmark does with Redis itself. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Redis } from 'ioredis';

/** Where bull-board looks. */
export const boardPrefix = '{board}';
export const boardQueue = 'failing';

/** In MB. */
export async function usedMemory(redis: Redis): Promise<number> {
  const info = await redis.info('memory');
  return Number(/used_memory:(\d+)/.exec(info)?.[1]) / 1_048_576;
}

/** Removes every key that begins with the prefix. */
export async function removeKeys(redis: Redis, prefix: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 5_000 }) as AsyncIterable<string[]>) {
    if (keys.length > 0) await redis.unlink(keys);
  }
}

/** Lets Redis write its log anew, so that it does not do so for the keys of one arm while another one is timed. */
export async function rewriteLog(redis: Redis): Promise<void> {
  await rewritten(redis);
  await redis.bgrewriteaof();
  await rewritten(redis);
}

async function rewritten(redis: Redis): Promise<void> {
  while (/aof_rewrite_(in_progress|scheduled):1/.test(await redis.info('persistence'))) await wait(20);
}
