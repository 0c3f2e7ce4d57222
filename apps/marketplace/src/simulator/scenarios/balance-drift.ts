import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import { openMarket } from '../live/market.ts';
import { runSchedule } from './schedule-steps.ts';
import { defineScenario } from './scenario.ts';

const nightly = 'balance-reconciliation';
const smallCents = 40;
const largeCents = 500;

export const balanceDrift = defineScenario<{ drifted: string[] }>({
  name: 'balance-drift',
  title: 'Balances no longer say what their ledgers say',
  cause:
    'Somebody writes to the table of accounts by hand: one balance is 40 cents off, another one five dollars. Then the nightly run comes.',
  signals: [
    { metric: 'fmhl_billing_reconciliation_mismatches', reaches: 1, tells: 'a difference waits for a person' },
    {
      list: '/admin/balance-corrections?open=true',
      count: 1,
      tells: 'which account, by how much, and from which version on',
    },
  ],
  breaks: ['I5'],
  steps: [
    'Up to a dollar is corrected on record by the run itself; look at it: `GET /api/v1/admin/balance-corrections`.',
    'More is touched by nobody but you. Compare balance and ledger of the account, and find out who wrote: `log_statement`, `pg_stat_activity`.',
    'Set the balance to its ledger: `POST /api/v1/admin/providers/<id>/reconcile` with a memo. It answers before and after, and closes the case.',
    'Run the reconciliation again: `fmhl schedule run balance-reconciliation --reason "…"` finds nothing.',
  ],
  async inject(ground) {
    const { buyers } = await openMarket(ground);
    const [one, other] = buyers;
    if (!one || !other) throw new Error('two buyers are needed');
    await ground.db.query(sql`
      update account set balance_cents = balance_cents + case provider_id when ${one.id}::uuid then ${smallCents}::bigint else ${largeCents}::bigint end
      where provider_id in (${one.id}, ${other.id})`);
    await runSchedule(ground, nightly);
    return { drifted: [other.id] };
  },
  async remedy(ground, { drifted }) {
    for (const id of drifted) {
      const memo = 'Written by hand in the database; the ledger is right';
      await ground.operator.post(`/admin/providers/${id}/reconcile`, { memo }, randomUUID());
    }
    const { alerted, corrected } = await runSchedule(ground, nightly);
    if (alerted || corrected) throw new Error(`the next run still finds ${alerted} and ${corrected} differences`);
  },
  async stop({ operator }, { drifted }) {
    const memo = 'The demonstration is over';
    for (const id of drifted) await operator.ask('POST', `/admin/providers/${id}/reconcile`, { body: { memo } });
  },
});
