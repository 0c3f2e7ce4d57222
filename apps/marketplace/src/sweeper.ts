import { type Database, repeating, type Runnable } from '@fmhl/ops';
import { expirePayments } from './features/billing/index.ts';
import { queueMissingMails } from './features/distribution/index.ts';
import { requeueMails } from './features/email/index.ts';
import { expireUnconfirmed, requeueStuck, stampLateSales } from './features/leads/index.ts';
import { sweepExports } from './features/reports/index.ts';
import type { FileStore } from './file-store/index.ts';
import type { Log } from './log.ts';
import type { AppMetrics, ProductMetrics } from './metrics.ts';

export interface SweeperDeps {
  readonly db: Database;
  readonly log: Log;
  readonly metrics: ProductMetrics;
  readonly appMetrics: AppMetrics;
  readonly now: () => Date;
  /** Files of exports. */
  readonly files: FileStore;
}

/** Rows of one kind in one transaction. */
const limit = 500;
const everyMs = 60_000;

/**
 * The loop that ends what nobody ends: leads never confirmed, approved leads whose job vanished, sales that are late, mails that
 * were promised and are missing, exports that are over or dead, payments that no gateway tells of.
 * Each row is taken by one transaction only, so two sweepers share the work in place of doubling it.
 */
export function openSweeper({ db, log, metrics, appMetrics, now, files }: SweeperDeps): Runnable {
  const repairs = appMetrics.counter('reconciler_repairs_total');
  const counted = {
    lead_requeued: repairs.labels({ kind: 'lead_requeued' }),
    mail_promised: repairs.labels({ kind: 'mail_promised' }),
    mail_requeued: repairs.labels({ kind: 'mail_requeued' }),
  };
  return repeating({
    name: 'sweeper',
    everyMs,
    onError: (error) => log.error('loop_failed', error, { loop: 'sweeper' }),
    async runOnce() {
      const expired = await db.transaction((tx) => expireUnconfirmed(tx, { now: now(), limit }, { log }));
      const stuck = await db.transaction((tx) => requeueStuck(tx, { limit }));
      const late = await db.transaction((tx) => stampLateSales(tx, { limit }, { metrics }));
      const promised = await db.transaction((tx) => queueMissingMails(tx, { limit }));
      const mails = await db.transaction((tx) => requeueMails(tx, { limit }));
      const exports = await sweepExports(db, { files, log, limit });
      const unpaid = await db.transaction((tx) => expirePayments(tx, { now: now(), limit }, { log }));
      counted.lead_requeued.inc(stuck);
      counted.mail_promised.inc(promised);
      counted.mail_requeued.inc(mails);
      const touched = [expired, stuck, late, promised, mails, exports.expired, exports.failed, unpaid];
      if (touched.some((rows) => rows > 0)) {
        const repaired = { requeued: stuck, mails_promised: promised, mails_requeued: mails };
        const ended = { exports_expired: exports.expired, exports_failed: exports.failed, payments_expired: unpaid };
        log.info('sweeper_ran', { expired, late, ...repaired, ...ended });
      }
      return { more: Math.max(...touched) === limit };
    },
  });
}
