import { type Actor, audit, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { PaymentWebhook } from './contract.ts';
import { credit } from './credit.ts';
import type { BillingDeps } from './measure.ts';
import {
  countPendingLocked,
  endPayment,
  insertPayment,
  insertTelling,
  lockPayment,
  type Payment,
  readBalance,
  readTelling,
} from './queries.ts';

/** `instant` credits at once (play money); `gateway` waits for the gateway's webhook. */
export type DepositMode = 'instant' | 'gateway';

export interface Deposited {
  payment: Payment;
  balanceCents: number;
  resumed: number;
}

/** Payments of one provider that wait for the gateway at once. */
export const mostPending = 20;

/** Starts a deposit of a provider: settled at once in mode `instant`, else pending. Refuses `too_many` beyond 20 that are pending. */
export async function deposit(
  tx: Tx,
  input: { providerId: string; amountCents: number; mode: DepositMode; actor: Actor },
  deps: BillingDeps,
): Promise<Deposited> {
  const { providerId, amountCents, actor } = input;
  if (input.mode === 'gateway' && (await countPendingLocked(tx, providerId)) >= mostPending)
    throw refuse('too_many', { most: mostPending });
  const payment = await insertPayment(tx, providerId, amountCents);
  await audit(tx, {
    actor,
    action: 'billing.deposit_started',
    targetType: 'payment',
    targetId: payment.id,
    details: { amount_cents: amountCents },
  });
  if (input.mode === 'gateway') {
    const { balance_cents: balanceCents } = await readBalance(tx, providerId);
    return { payment, balanceCents, resumed: 0 };
  }
  return settle(tx, { payment, gateway: 'instant', externalId: payment.id, actor }, deps);
}

/** What a gateway reports, and the hash of the bytes it signed. */
export interface SignedReport {
  readonly report: PaymentWebhook;
  readonly bodySha256: Buffer;
}

interface Settled {
  payment: Payment;
  changed: boolean;
}

/**
 * Takes in what a gateway reports of a payment. Told again, too late or out of order, it changes nothing.
 * Refuses `not_found`, `amount_mismatch`, `idempotency_key_reused` (its event id told something else before), and `invalid_state` when the
 * gateway told a failure or expiry before the success, or the gateway's id of it is another's.
 */
export async function settlePayment(tx: Tx, { report, bodySha256 }: SignedReport, deps: BillingDeps): Promise<Settled> {
  const payment = await lockPayment(tx, report.payment_id);
  if (!payment || (report.provider_id ?? payment.provider_id) !== payment.provider_id) throw refuse('not_found');
  if (payment.amount_cents !== report.amount_cents)
    throw refuse('amount_mismatch', { amount_cents: payment.amount_cents });
  const { gateway, event_id: eventId, status } = report;
  if (eventId === undefined) return conclude(tx, payment, report, deps);
  const told = await readTelling(tx, { gateway, eventId });
  if (told) {
    if (!told.body_sha256.equals(bodySha256)) throw refuse('idempotency_key_reused');
    return { payment, changed: false };
  }
  const settled = await conclude(tx, payment, report, deps);
  const telling = { gateway, eventId, paymentId: payment.id, status, bodySha256, changed: settled.changed };
  // The payment is locked: who told the same in this moment told it of another payment.
  if (!(await insertTelling(tx, telling))) throw refuse('idempotency_key_reused');
  return settled;
}

/** What becomes of a locked payment. The first ending stands, but for money that came after a failure: a person must see that. */
async function conclude(tx: Tx, payment: Payment, report: PaymentWebhook, deps: BillingDeps): Promise<Settled> {
  const { gateway, external_id: externalId, status } = report;
  const isOpen = endedByNoGateway(payment);
  if (status === 'pending' || payment.status === 'succeeded' || (payment.status === status && !isOpen))
    return { payment: ofSameOrigin(payment, report), changed: false };
  if (!isOpen) {
    if (status === 'succeeded') throw refuse('invalid_state', { status: payment.status });
    return { payment: ofSameOrigin(payment, report), changed: false };
  }
  const actor: Actor = { id: `gateway:${gateway}`, name: gateway, via: 'webhook' };
  const details = { status, amount_cents: payment.amount_cents, provider_id: payment.provider_id };
  await audit(tx, { actor, action: 'billing.deposit_ended', targetType: 'payment', targetId: payment.id, details });
  const waitedMs = Date.now() - payment.created_at.getTime();
  tx.afterCommit(() => deps.log.info('payment_ended', { payment_id: payment.id, status, waited_ms: waitedMs }));
  const ended =
    status === 'succeeded'
      ? (await settle(tx, { payment, gateway, externalId, actor }, deps)).payment
      : await end(tx, { paymentId: payment.id, gateway, externalId, status });
  return { payment: ended, changed: true };
}

/** Pending, or expired because no gateway told anything in time: its word still counts, and its money is still credited. */
function endedByNoGateway({ status, gateway }: Payment): boolean {
  return status === 'pending' || (status === 'expired' && gateway === null);
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
  const ended = await endPayment(tx, ending).catch((error: unknown) => {
    // Two payments that claim one id of the gateway in the same moment.
    if ((error as { code?: unknown } | null)?.code === '23505') return undefined;
    throw error;
  });
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
