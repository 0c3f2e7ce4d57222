import { type Actor, audit, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { PaymentWebhook } from './contract.ts';
import { credit } from './credit.ts';
import type { BillingDeps } from './measure.ts';
import { endPayment, insertPayment, lockPayment, type Payment, readBalance } from './queries.ts';

/** `instant` credits at once (play money); `gateway` waits for the gateway's webhook. */
export type DepositMode = 'instant' | 'gateway';

export interface Deposited {
  payment: Payment;
  balanceCents: number;
  resumed: number;
}

/** Starts a deposit of a provider: settled at once in mode `instant`, else pending. */
export async function deposit(
  tx: Tx,
  input: { providerId: string; amountCents: number; mode: DepositMode; actor: Actor },
  deps: BillingDeps,
): Promise<Deposited> {
  const { providerId, amountCents, actor } = input;
  const payment = await insertPayment(tx, providerId, amountCents);
  await audit(tx, {
    actor,
    action: 'billing.deposit_started',
    targetType: 'payment',
    targetId: payment.id,
    details: { amount_cents: amountCents },
  });
  if (input.mode === 'gateway') {
    const balance = await readBalance(tx, providerId);
    return { payment, balanceCents: balance?.balance_cents ?? 0, resumed: 0 };
  }
  return settle(tx, { payment, gateway: 'instant', externalId: payment.id, actor }, deps);
}

/**
 * Takes in what a gateway reports of a payment. Told again, or told of a failure after the success, it changes nothing.
 * Refuses `not_found`, `amount_mismatch`, and `invalid_state` when the payment ended otherwise or the gateway's id is another's.
 */
export async function settlePayment(
  tx: Tx,
  report: PaymentWebhook,
  deps: BillingDeps,
): Promise<{ payment: Payment; changed: boolean }> {
  const { gateway, external_id: externalId, status } = report;
  const payment = await lockPayment(tx, report.payment_id);
  if (!payment || (report.provider_id ?? payment.provider_id) !== payment.provider_id) throw refuse('not_found');
  if (payment.amount_cents !== report.amount_cents)
    throw refuse('amount_mismatch', { amount_cents: payment.amount_cents });
  if (status === 'pending' || payment.status === status)
    return { payment: ofSameOrigin(payment, report), changed: false };
  if (payment.status === 'succeeded') return { payment: ofSameOrigin(payment, report), changed: false };
  if (payment.status !== 'pending') throw refuse('invalid_state', { status: payment.status });
  const actor: Actor = { id: `gateway:${gateway}`, name: gateway, via: 'webhook' };
  const details = { status, amount_cents: payment.amount_cents, provider_id: payment.provider_id };
  await audit(tx, { actor, action: 'billing.deposit_ended', targetType: 'payment', targetId: payment.id, details });
  if (status === 'succeeded')
    return { payment: (await settle(tx, { payment, gateway, externalId, actor }, deps)).payment, changed: true };
  return { payment: await end(tx, { paymentId: payment.id, gateway, externalId, status }), changed: true };
}

async function settle(
  tx: Tx,
  { payment, gateway, externalId, actor }: { payment: Payment; gateway: string; externalId: string; actor: Actor },
  deps: BillingDeps,
): Promise<Deposited> {
  const ended = await end(tx, { paymentId: payment.id, gateway, externalId, status: 'succeeded' });
  const { provider_id: providerId, amount_cents: amountCents } = ended;
  const { entry, resumed } = await credit(
    tx,
    { providerId, kind: 'deposit', amountCents, paymentId: ended.id, actor },
    deps,
  );
  return { payment: ended, balanceCents: entry.balance_cents, resumed };
}

async function end(tx: Tx, ending: Parameters<typeof endPayment>[1]): Promise<Payment> {
  const ended = await endPayment(tx, ending);
  if (!ended) throw refuse('invalid_state', { status: 'external_id_taken' });
  return ended;
}

/** A payment that one transaction of the gateway paid is not paid again by another: that would be someone's money lost. */
function ofSameOrigin(payment: Payment, report: PaymentWebhook): Payment {
  const { gateway, external_id: externalId, status } = payment;
  if (externalId !== null && (gateway !== report.gateway || externalId !== report.external_id)) {
    throw refuse('invalid_state', { status });
  }
  return payment;
}
