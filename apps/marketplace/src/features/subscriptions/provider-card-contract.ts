import { z } from 'zod';
import { cleanText } from '../../text.ts';
import { providerDetail } from './contract.ts';

export const providerMemo = z.strictObject({ memo: cleanText(10, 500) });
export const providerTurned = z.strictObject({ status: providerDetail.shape.status, changed: z.boolean() });

const share = z.number().min(0).max(1).nullable();

/** The last 30 days of a provider, by the day each lead was bought. */
export const providerRecord = z.strictObject({
  days: z.int(),
  serves: z.int(),
  spent_cents: z.int(),
  viewed: z.int(),
  accepted: z.int(),
  declined: z.int(),
  /** Assignments that were given back, for whatever reason. */
  refunded: z.int(),
  reported: z.int(),
  reports_pending: z.int(),
  reports_approved: z.int(),
  /** Reports ÷ serves; null without a serve. */
  report_rate: share,
  /** Approved ÷ decided reports; null while none is decided. */
  approval_rate: share,
  peers: z.strictObject({
    /** Sales of the same leads to other providers. */
    serves: z.int(),
    reported: z.int(),
    report_rate: share,
    /** Of the leads this provider reported: those that had other buyers, and those that one of them reported too. */
    shared_reports: z.int(),
    agreed: z.int(),
  }),
});
export type ProviderRecord = z.infer<typeof providerRecord>;

export const providerCardOfStaff = providerDetail.extend({
  status_memo: z.string().nullable(),
  email_verified: z.boolean(),
  last_30_days: providerRecord,
});
