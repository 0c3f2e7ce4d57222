import { type Loop, repeating, type Runnable } from '../loops/index.ts';
import type { Logger } from '../logging/index.ts';
import type { Metrics } from '../metrics/index.ts';
import { type Database, sql } from '../postgres/index.ts';

export interface AttemptCountDeps {
  readonly db: Database;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly workerId: string;
  /** The queues this process works on. */
  readonly queues: readonly string[];
}

/** How often a worker tells how many attempts ended, in ms. */
const everyMs = 5_000;
/** Minutes stay this long. */
const keptHours = 2;

interface Totals {
  readonly completed: number;
  readonly failed: number;
}

/**
 * Writes how many attempts this process completed and failed, by minute. A process that is killed takes its last seconds with it.
 * Without metrics there is nothing to tell: then nobody knows.
 */
export function openAttemptCounts(deps: AttemptCountDeps): Runnable {
  const { metrics, log, queues } = deps;
  const told = new Map<string, Totals>();
  const tell = async () => {
    const now = new Map(queues.map((queue) => [queue, totalsOf(metrics, queue)]));
    const since = queues.map((queue) => difference(now.get(queue), told.get(queue)));
    await write(deps, since);
    for (const [queue, totals] of now) told.set(queue, totals);
  };
  const loop: Loop = repeating({
    name: 'attempt-counts',
    everyMs,
    onError: (error) => log.error('loop_failed', error, { loop: 'attempt-counts' }),
    async runOnce() {
      if (metrics.enabled) await tell();
      return { more: false };
    },
  });
  return {
    name: loop.name,
    start: () => loop.start(),
    async stop() {
      await loop.stop();
      if (metrics.enabled) await tell().catch(() => {});
    },
  };
}

function totalsOf(metrics: Metrics, queue: string): Totals {
  return {
    completed: metrics.value('jobs_completed_total', { queue }) ?? 0,
    failed: metrics.value('jobs_failed_total', { queue }) ?? 0,
  };
}

function difference(now: Totals = { completed: 0, failed: 0 }, before: Totals = { completed: 0, failed: 0 }): Totals {
  return { completed: now.completed - before.completed, failed: now.failed - before.failed };
}

/** A row of zeros says that somebody looked. */
async function write({ db, queues, workerId }: AttemptCountDeps, counts: readonly Totals[]): Promise<void> {
  await db.query(sql`
    with old as (delete from ops.attempt_minute where minute < statement_timestamp() - ${keptHours} * interval '1 hour')
    insert into ops.attempt_minute as m (minute, queue, worker, completed, failed)
    select date_trunc('minute', clock_timestamp()), c.queue, ${workerId}, c.completed, c.failed
    from unnest(${queues}::text[], ${counts.map(({ completed }) => completed)}::int[],
                ${counts.map(({ failed }) => failed)}::int[]) as c(queue, completed, failed)
    on conflict (minute, queue, worker) do update
      set completed = m.completed + excluded.completed, failed = m.failed + excluded.failed`);
}
