import { type Database, sql } from '@fmhl/ops';
import type { AppMetrics } from '../../metrics.ts';
import { manyCorrections } from './reconcile-balances.ts';

/** Registers the stocks of money, which are read from Postgres when somebody asks for metrics. Call once, in a process that may read them. */
export function watchMoney({ db, metrics }: { db: Database; metrics: AppMetrics }): void {
  metrics.collect({
    name: 'money',
    gauges: [
      'billing_reconciliation_mismatches',
      'billing_reconciliation_last_success_timestamp_seconds',
      'payments_pending',
      'payments_pending_oldest_age_seconds',
    ],
    async read() {
      const stocks = await readStocks(db);
      return [
        { metric: 'billing_reconciliation_mismatches', value: stocks.mismatches },
        // Until the first run there is no moment to tell.
        ...(stocks.reconciled_at === null
          ? []
          : [
              { metric: 'billing_reconciliation_last_success_timestamp_seconds', value: stocks.reconciled_at } as const,
            ]),
        { metric: 'payments_pending', value: stocks.pending },
        { metric: 'payments_pending_oldest_age_seconds', value: stocks.oldest_pending_s },
      ];
    },
  });
}

interface Stocks {
  mismatches: number;
  reconciled_at: number | null;
  pending: number;
  oldest_pending_s: number;
}

async function readStocks(db: Database): Promise<Stocks> {
  const { rows } = await db.query<Stocks>(sql`
    with last as (
      select finished_at, corrected from reconciliation_run
      where finished_at is not null order by finished_at desc limit 1)
    select (select count(*)::int from balance_correction where action = 'alerted' and closed_at is null)
             + (select count(*)::int from last where corrected > ${manyCorrections}::int) as mismatches,
           (select extract(epoch from finished_at)::float8 from last) as reconciled_at,
           (select count(*)::int from payment where status = 'pending') as pending,
           coalesce((select extract(epoch from clock_timestamp() - min(created_at))::float8 from payment where status = 'pending'), 0)
             as oldest_pending_s`);
  return rows[0] as Stocks;
}
