import { systemActor } from '../audit/index.ts';
import type { Lease } from '../leases/index.ts';
import type { Logger } from '../logging/index.ts';
import { type Loop, repeating } from '../loops/index.ts';
import { type Database, sql } from '../postgres/index.ts';
import type { QueueRegistry, RedisQueues } from '../queues/index.ts';
import { applyWish, resumeQueue } from './pause.ts';

export interface QueueWishDeps {
  readonly db: Database;
  readonly queues: RedisQueues;
  readonly registry: QueueRegistry;
  readonly lease: Lease;
  readonly log: Logger;
  /** Pause between two looks, in ms. Default 1,000. */
  readonly everyMs?: number;
}

/** The loop that tells Redis again what operators wish when Redis forgot, and ends the pauses whose time is over. */
export function openQueueWishes(deps: QueueWishDeps): Loop {
  const { lease, log, everyMs = 1_000 } = deps;
  return repeating({
    name: 'queue-wishes',
    everyMs,
    onError: (error) => log.error('loop_failed', error, { loop: 'queue-wishes' }),
    async runOnce() {
      if (await lease.hold()) await fulfilWishes(deps);
      return { more: false };
    },
  });
}

/** One pass. Answers the queues of which Redis had to be told. */
export async function fulfilWishes({ db, queues, registry, log }: Omit<QueueWishDeps, 'lease'>): Promise<string[]> {
  await endPauses(db);
  const { rows } = await db.query<{ name: string; paused: boolean }>(
    sql`select name, paused_at is not null as paused from ops.queue where name = any (${registry.names}::text[])`,
  );
  const told: string[] = [];
  for (const { name, paused } of rows) {
    if ((await queues.isPaused(name)) === paused) continue;
    if (!(await applyWish(db, queues, name))) continue;
    log.warn('queue_wish_applied', { queue: name, paused });
    told.push(name);
  }
  return told;
}

async function endPauses(db: Database): Promise<void> {
  const { rows } = await db.query<{ name: string }>(
    sql`select name from ops.queue where paused_until <= clock_timestamp()`,
  );
  for (const { name } of rows) {
    await db.transaction(async (tx) => {
      // Somebody may have paused it anew meanwhile.
      const { rowCount } = await tx.query(
        sql`select 1 from ops.queue where name = ${name} and paused_until <= clock_timestamp() for update`,
      );
      if (rowCount === 1)
        await resumeQueue(tx, { queue: name, actor: systemActor, reason: 'the time of the pause is over' });
    });
  }
}
