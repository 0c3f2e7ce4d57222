import type { Database } from '../postgres/index.ts';
import { withDeadline } from '../redis/index.ts';
import type { RedisCounts, RedisQueues } from './bullmq.ts';
import type { QueueOverview, QueuePause, QueueRow } from './contract.ts';
import type { QueueDefinition } from './definition.ts';
import {
  type OpenCounts,
  oldestOf,
  type PausedColumns,
  readOpenCounts,
  readStored,
  type StoredQueue,
} from './overview-queries.ts';

/** Redis gets this long to answer the overview, in ms; then Postgres counts, and both fit into the second of a collector. */
const redisWithinMs = 500;

interface LiveQueue extends RedisCounts {
  /** Age of the older of the jobs that are fetched next, in seconds. */
  readonly headAge: number | null;
}

/**
 * Reads these queues. Throws when Postgres is away: unknown is never shown as zero.
 * Each count is bounded, so its cost is that of a few index reads whatever waits and whatever died.
 */
export async function readOverview(
  db: Database,
  redis: RedisQueues,
  { definitions }: { readonly definitions: readonly QueueDefinition[] },
  now: () => Date,
): Promise<QueueOverview> {
  const names = definitions.map(({ name }) => name);
  const [stored, live] = await Promise.all([readStored(db, names), readLive(db, redis, names)]);
  const open = live ? undefined : await readOpenCounts(db, names);
  const queues = definitions.map(({ name, aliases = [] }): QueueRow => {
    const row = stored.get(name);
    if (!row) throw new TypeError(`queue ${name} was not read`);
    return { name, aliases: [...aliases], ...countedPart(row, live?.get(name), open?.get(name)), ...storedPart(row) };
  });
  return { queues, as_of: now().toISOString(), counted_from: live ? 'redis' : 'postgres' };
}

function storedPart(row: StoredQueue) {
  return {
    failed_last_hour: row.failed_last_hour,
    dlq_size: row.dlq_size,
    not_dispatched: row.not_dispatched,
    workers: row.workers,
    attempts_failed_last_hour: row.attempts_failed_last_hour,
    proof_gap: row.proof_gap,
    paused: pauseOf(row),
  };
}

function countedPart(row: StoredQueue, live: LiveQueue | undefined, open: OpenCounts | undefined) {
  return {
    depth: live?.waiting ?? open?.ready ?? 0,
    active: live?.active ?? open?.running ?? 0,
    delayed: live?.delayed ?? open?.later ?? 0,
    paused_in_redis: live?.paused ?? null,
    oldest_job_age_s: greater(row.oldest_s, live?.headAge ?? open?.oldest_s ?? null),
  };
}

/** What an operator wishes of a queue, from its row; null when it may run. */
export function pauseOf(row: PausedColumns): QueuePause | null {
  const { paused_at, paused_by_name, pause_reason, paused_until } = row;
  if (!paused_at) return null;
  return {
    by: paused_by_name ?? 'unknown',
    at: paused_at.toISOString(),
    reason: pause_reason ?? '',
    until: paused_until?.toISOString() ?? null,
  };
}

function greater(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}

/** Undefined when Redis cannot be asked. */
async function readLive(
  db: Database,
  redis: RedisQueues,
  names: readonly string[],
): Promise<Map<string, LiveQueue> | undefined> {
  const asked = Promise.all(
    names.map(async (name) => {
      const [counts, heads] = await Promise.all([redis.counts(name), redis.heads(name)]);
      return { name, counts, heads };
    }),
  );
  const answers = await withDeadline(asked, redisWithinMs, 'Redis').catch(() => undefined);
  if (!answers) return undefined;
  const ages = await oldestOf(
    db,
    answers.flatMap(({ heads }) => heads),
  );
  return new Map(answers.map(({ name, counts }) => [name, { ...counts, headAge: ages.get(name) ?? null }]));
}
