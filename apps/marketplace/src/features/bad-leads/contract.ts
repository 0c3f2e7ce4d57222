import { z } from 'zod';
import { pageQuery } from '../../page.ts';
import { cleanLine, cleanText } from '../../text.ts';

const cents = z.int();
const moment = z.iso.datetime();
const memo = cleanText(10, 500);

export const reportReason = z.enum(['spam', 'duplicate', 'unreachable', 'out_of_scope', 'other']);
export const reportStatus = z.enum(['pending', 'approved', 'rejected']);
export type ReportStatus = z.infer<typeof reportStatus>;
/** What decided: the report itself, a lead that was bad for all, or goodwill of the staff. */
export const decidedVia = z.enum(['report', 'mark_bad', 'goodwill']);

export const reportRequest = z
  .strictObject({
    reason: reportReason,
    notes: cleanText(1, 2_000).optional().describe('What happened, in your words. Required for `other`.'),
  })
  .refine(({ reason, notes }) => reason !== 'other' || notes !== undefined, {
    path: ['notes'],
    message: 'is required for the reason other',
  });
export type ReportRequest = z.infer<typeof reportRequest>;

/** A report as its maker sees it. */
export const ownReport = z.object({
  assignment_id: z.uuid(),
  lead_id: z.uuid(),
  reason: reportReason,
  notes: z.string().nullable(),
  status: reportStatus,
  reported_at: moment,
  resolved_at: moment.nullable(),
  /** Null while nothing came back. */
  refund_cents: cents.nullable(),
});
export type OwnReport = z.infer<typeof ownReport>;
/**
 * `changed: false` when the report stood already. Without the notes: answers are kept under their `Idempotency-Key`, where no erasure would
 * find them.
 */
export const reportResponse = ownReport.omit({ notes: true }).extend({ changed: z.boolean() });

export const badLeadQuery = pageQuery.extend({
  status: reportStatus.optional(),
  source: cleanLine(1, 100).optional(),
  provider: z.uuid().optional(),
});
export type BadLeadQuery = z.infer<typeof badLeadQuery>;

export const reporterFlag = z.enum(['reports_often', 'mostly_rejected', 'peers_disagree']);
export type ReporterFlag = z.infer<typeof reporterFlag>;

/** What a provider bought and reported in the last 30 days. Rates are shares, null where there is nothing to divide. */
export const reportHistory = z.object({
  assignments: z.int(),
  reported: z.int(),
  reported_share: z.number().nullable(),
  decided: z.int(),
  approved: z.int(),
  approval_rate: z.number().nullable(),
  /** Other buyers of the leads they reported, and how many of those reported them too. */
  peers: z.int(),
  peers_reported: z.int(),
  flags: z.array(reporterFlag),
});
export type ReportHistory = z.infer<typeof reportHistory>;

/** A report, or a refund without one, beside what its judge should know. */
export const badLead = z.object({
  assignment_id: z.uuid(),
  lead_id: z.uuid(),
  lead_status: z.string(),
  niche: z.object({ slug: z.string(), name: z.string() }),
  source: z.string().nullable(),
  campaign: z.string().nullable(),
  provider: z.object({ id: z.uuid(), company: z.string(), history: reportHistory }),
  price_cents: cents,
  assigned_at: moment,
  refunded_at: moment.nullable(),
  reason: reportReason.nullable(),
  notes: z.string().nullable(),
  status: reportStatus,
  via: decidedVia,
  reported_at: moment.nullable(),
  resolved_by: z.string().nullable(),
  resolved_at: moment.nullable(),
  memo: z.string().nullable(),
  /** The other buyers of this lead, and what they made of it. */
  peers: z.object({ buyers: z.int(), reported: z.int(), approved: z.int() }),
});
export type BadLead = z.infer<typeof badLead>;

export const assignmentParams = z.strictObject({ assignment_id: z.uuid('must be a UUID') });
export const memoRequest = z.strictObject({ memo });

const refund = z.object({ entry_id: z.uuid(), amount_cents: cents, balance_cents: cents });
export type RefundView = z.infer<typeof refund>;

/** `refund` is null where nothing came back now: a rejection, or what was decided before. */
export const decisionResponse = z.object({
  assignment_id: z.uuid(),
  status: reportStatus,
  changed: z.boolean(),
  refund: refund.nullable(),
});
export const refundResponse = z.object({ assignment_id: z.uuid(), refund });

export const bulkRequest = z.strictObject({
  action: z.enum(['approve', 'reject']),
  ids: z.array(z.uuid()).min(1).max(50).describe('Ids of assignments.'),
  memo,
});
const result = z.object({ id: z.uuid(), ok: z.boolean(), changed: z.boolean(), code: z.string().optional() });
export type BulkResult = z.infer<typeof result>;
export const bulkResponse = z.object({ results: z.array(result) });

/** What marking leads bad refunds: the counts that a caller has seen. */
export const badLeadPlan = z.strictObject({
  leads: z.int(),
  assignments: z.int(),
  providers: z.int(),
  refund_cents: cents,
});
export type BadLeadPlan = z.infer<typeof badLeadPlan>;

/** Most leads that one call marks; `has_more` says that the source has others. */
export const markedAtOnce = 500;

export const markBadRequest = z
  .strictObject({
    ids: z.array(z.uuid()).min(1).max(markedAtOnce).optional().describe('Ids of leads.'),
    source: cleanLine(1, 100).optional().describe(`All sold leads of a source, oldest first, ${markedAtOnce} at once.`),
    memo,
    dry_run: z.boolean().default(false).describe('Answers what would be refunded, and changes nothing.'),
    expected: badLeadPlan.optional().describe('What the dry run answered. Required unless this is one.'),
  })
  .refine(({ ids, source }) => (ids === undefined) !== (source === undefined), {
    path: ['ids'],
    message: 'name ids or a source, not both',
  })
  .refine(({ dry_run, expected }) => dry_run || expected !== undefined, {
    path: ['expected'],
    message: 'is required: what the dry run answered',
  });
export type MarkBadRequest = z.infer<typeof markBadRequest>;

export const markBadResponse = badLeadPlan.extend({
  dry_run: z.boolean(),
  has_more: z.boolean(),
  results: z.array(result),
});
