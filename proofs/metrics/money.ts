import { randomUUID } from 'node:crypto';
import { signWebhook } from '../../apps/marketplace/src/features/billing/signature.ts';
import {
  makeLevel,
  makeNiche,
  makeProvider,
  makeSubscription,
} from '../../apps/marketplace/src/testing/subscriptions.ts';
import { sql } from '../../packages/ops/src/postgres/index.ts';
import type { System } from './system.ts';

/** What the gateway of the proof signs with. */
export const webhookSecret = 'what the gateway of the proof signs with';
/** A collector keeps what it read for 5 s. */
const collectedWithinMs = 10_000;

export const runNow = ({ people }: System, schedule: string) =>
  people.staff.post(`/admin/schedules/${schedule}/run`, { reason: 'a run of the proof' }, randomUUID());

/** Balances that somebody moved past their ledger: one by dollars, more than twenty by cents. */
export async function driftedBalances(system: System): Promise<void> {
  const { watch, people, market } = system;
  const { db } = market;
  const drift = async (cents: number) => {
    const { id } = await makeProvider(db);
    await people.adjust(id, 5_000);
    await db.query(sql`update account set balance_cents = balance_cents + ${cents} where provider_id = ${id}`);
    return id;
  };
  const far = await drift(4_000);
  await Promise.all(Array.from({ length: 21 }, () => drift(37)));
  await watch.sees(
    'a night finds balances that disagree with their ledger',
    () => runNow(system, 'balance-reconciliation'),
    [
      { metric: 'billing_failures_total', labels: { operation: 'reconcile', reason: 'discrepancy' }, rises: 1 },
      { metric: 'billing_failures_total', labels: { operation: 'reconcile', reason: 'many_corrections' }, rises: 1 },
      { metric: 'billing_reconciliation_mismatches', becomes: 2 },
      { metric: 'billing_reconciliation_last_success_timestamp_seconds', becomes: 'positive' },
    ],
    collectedWithinMs,
  );
  await watch.sees(
    'a person settles the one, and the next night agrees',
    async () => {
      await people.staff.post(`/admin/providers/${far}/reconcile`, { memo: 'settled by the proof' });
      await runNow(system, 'balance-reconciliation');
    },
    [{ metric: 'billing_reconciliation_mismatches', becomes: 0 }],
    collectedWithinMs,
  );
}

/** A subscription that sleeps for funds which are there. */
export async function forgottenSleeper(system: System): Promise<void> {
  const { watch, people, market } = system;
  const { id: nicheId } = await makeNiche(market.db);
  const { id: levelId } = await makeLevel(market.db, { nicheId });
  const { id: providerId } = await makeProvider(market.db);
  await people.adjust(providerId, 5_000);
  const fallAsleep = async () => {
    await makeSubscription(market.db, { providerId, levelId, status: 'paused_funds' });
    await runNow(system, 'subscription-reactivation');
  };
  await watch.sees('a paid subscription sleeps', fallAsleep, [{ metric: 'subscriptions_reactivated_total', rises: 1 }]);
}

/** A payment that its gateway forgets for an hour, tells wrong, and settles. */
export async function lateGateway({ watch, market, scene }: System): Promise<void> {
  const { id: providerId } = await makeProvider(market.db);
  const paymentId = randomUUID();
  const tell = (amount_cents: number) => {
    const body = JSON.stringify({
      gateway: 'proof',
      external_id: paymentId,
      payment_id: paymentId,
      amount_cents,
      status: 'succeeded',
    });
    const signature = signWebhook(body, webhookSecret, new Date());
    const headers = { 'content-type': 'application/json', 'x-fmhl-signature': signature };
    return fetch(`${scene.fleet.apiUrl}/api/v1/webhooks/payments`, { method: 'POST', headers, body });
  };
  const wait = sql`
    insert into payment (id, provider_id, amount_cents, status, created_at)
    values (${paymentId}, ${providerId}, 5000, 'pending', now() - interval '1 hour')`;
  await watch.sees(
    'a payment waits for its gateway',
    () => market.db.query(wait),
    [
      { metric: 'payments_pending', becomes: 1 },
      { metric: 'payments_pending_oldest_age_seconds', becomes: 'positive' },
    ],
    collectedWithinMs,
  );
  await watch.sees('the gateway tells another amount', () => tell(6_000), [
    { metric: 'billing_failures_total', labels: { operation: 'deposit', reason: 'contradiction' }, rises: 1 },
  ]);
  await watch.sees(
    'and then the right one',
    () => tell(5_000),
    [
      { metric: 'payments_pending', becomes: 0 },
      { metric: 'billing_operation_duration_ms', labels: { operation: 'deposit' }, rises: 1 },
    ],
    collectedWithinMs,
  );
}
