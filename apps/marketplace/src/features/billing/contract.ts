import { z } from 'zod';
import { pageQuery } from '../../page.ts';
import { cleanText } from '../../text.ts';

const cents = z.int();
const largestAmountCents = 100_000_000;

export const depositRequest = z.strictObject({ amount_cents: z.int().min(1_000).max(1_000_000) });

export const paymentView = z.object({
  id: z.uuid(),
  amount_cents: cents,
  status: z.enum(['pending', 'succeeded', 'failed', 'expired']),
  created_at: z.iso.datetime(),
});

export const depositResponse = z.object({
  payment: paymentView,
  balance_cents: cents,
  /** Subscriptions that the money woke. */
  resumed: z.int(),
});

const paymentStatus = paymentView.shape.status;

export const paymentQuery = pageQuery.extend({
  status: paymentStatus.default('pending'),
  provider_id: z.uuid().optional(),
});

export const adminPaymentView = paymentView.extend({
  provider_id: z.uuid(),
  company: z.string(),
  gateway: z.string().nullable(),
  external_id: z.string().nullable(),
  updated_at: z.iso.datetime(),
});

/** What a payment gateway reports. `payment_id` is ours; `external_id` is the gateway's. */
export const paymentWebhook = z.strictObject({
  /** The gateway's own id of this telling; told again under it, nothing changes, and something else is refused. */
  event_id: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/)
    .optional(),
  gateway: z.string().regex(/^[a-z0-9_-]{1,40}$/),
  external_id: z.string().regex(/^[\x21-\x7e]{1,200}$/),
  payment_id: z.uuid(),
  provider_id: z.uuid().optional(),
  amount_cents: z.int().min(1).max(largestAmountCents),
  status: z.enum(['pending', 'succeeded', 'failed', 'expired']),
});
export type PaymentWebhook = z.infer<typeof paymentWebhook>;

export const paymentWebhookResponse = z.object({ payment: paymentView, changed: z.boolean() });

export const balanceResponse = z.object({
  balance_cents: cents,
  low_balance_cents: cents.nullable(),
  /** Deposits that wait for the gateway. */
  pending_cents: cents,
});

const entryKind = z.enum(['deposit', 'lead_charge', 'lead_refund', 'manual_credit', 'manual_debit']);

export const entryView = z.object({
  id: z.uuid(),
  kind: entryKind,
  amount_cents: cents,
  balance_after_cents: cents,
  assignment_id: z.uuid().nullable(),
  payment_id: z.uuid().nullable(),
  created_at: z.iso.datetime(),
});

export const adjustmentRequest = z.strictObject({
  amount_cents: z
    .int()
    .min(-largestAmountCents)
    .max(largestAmountCents)
    .refine((amount) => amount !== 0, 'must not be 0'),
  memo: cleanText(10, 500),
});

export const adjustmentResponse = z.object({
  entry: z.object({
    id: z.uuid(),
    kind: entryKind,
    amount_cents: cents,
    balance_after_cents: cents,
    created_at: z.iso.datetime(),
  }),
  balance_cents: cents,
  resumed: z.int(),
  paused: z.int(),
});

export const reconcileRequest = z.strictObject({ memo: cleanText(10, 500) });

export const reconcileResponse = z.object({
  before_cents: cents,
  after_cents: cents,
  /** False when nothing differed and no case was open. */
  changed: z.boolean(),
  closed_case_id: z.uuid().nullable(),
  resumed: z.int(),
  paused: z.int(),
});

export const correctionQuery = pageQuery.extend({
  open: z.enum(['true', 'false']).default('false'),
  provider_id: z.uuid().optional(),
});

export const correctionView = z.object({
  id: z.uuid(),
  run_id: z.uuid().nullable(),
  provider_id: z.uuid(),
  company: z.string(),
  cached_cents: cents,
  ledger_cents: cents,
  diff_cents: cents,
  action: z.enum(['corrected', 'alerted', 'reconciled']),
  cause: z.enum(['difference', 'broken_chain', 'below_zero']),
  broken_version: z.int().nullable(),
  last_version: z.int(),
  memo: z.string().nullable(),
  closed_at: z.iso.datetime().nullable(),
  closed_by: z.string().nullable(),
  close_memo: z.string().nullable(),
  created_at: z.iso.datetime(),
});
