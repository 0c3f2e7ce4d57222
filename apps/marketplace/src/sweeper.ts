import { type Database, repeating, type Runnable, sql } from '@fmhl/ops';
import { expireUnconfirmed, requeueStuck, stampLateSales } from './features/leads/index.ts';
import type { Log } from './log.ts';
import type { AppMetrics, ProductMetrics } from './metrics.ts';

export interface SweeperDeps {
  readonly db: Database;
  readonly log: Log;
  readonly metrics: ProductMetrics;
  readonly appMetrics: AppMetrics;
  readonly now: () => Date;
}

/** Rows of one kind in one transaction. */
const limit = 500;
const everyMs = 60_000;

/**
 * The loop that ends what nobody ends: leads never confirmed, approved leads whose job vanished, sales that are late.
 * Each row is taken by one transaction only, so two sweepers share the work in place of doubling it.
 */
export function openSweeper({ db, log, metrics, appMetrics, now }: SweeperDeps): Runnable {
  const requeued = appMetrics.counter('reconciler_repairs_total').labels({ kind: 'lead_requeued' });
  return repeating({
    name: 'sweeper',
    everyMs,
    onError: (error) => log.error('loop_failed', error, { loop: 'sweeper' }),
    async runOnce() {
      const expired = await db.transaction((tx) => expireUnconfirmed(tx, { now: now(), limit }, { log }));
      const stuck = await db.transaction((tx) => requeueStuck(tx, { limit }));
      const late = await db.transaction((tx) => stampLateSales(tx, { limit }, { metrics }));
      const sessions = await db.query(
        sql`delete from identity.session where expires_at < clock_timestamp() - interval '7 days'`,
      );
      if (stuck > 0) requeued.inc(stuck);
      if (expired + stuck + late > 0)
        log.info('sweeper_ran', { expired, requeued: stuck, late, sessions: sessions.rowCount });
      return { more: Math.max(expired, stuck, late) === limit };
    },
  });
}
