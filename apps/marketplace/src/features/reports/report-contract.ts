import { z } from 'zod';

/** A date, which is its midnight in UTC, or a moment with its offset. */
export const moment = z.union([z.iso.date(), z.iso.datetime({ offset: true })], {
  error: 'must be a date (2026-01-31) or a moment with its offset (2026-01-31T12:00:00Z)',
});

export const clocks = ['created', 'sold'] as const;
export type Clock = (typeof clocks)[number];

const range = {
  /** First moment, included. Default: 30 days before `to`. */
  from: moment.optional(),
  /** First moment after the range. Default: now. */
  to: moment.optional(),
};
const timed = { ...range, clock: z.enum(clocks).optional() };

/** What each report may be asked. The first of `by` is its default. */
export const reportQueries = {
  kpis: z.strictObject({ ...timed, by: z.enum(['total', 'day', 'niche']).default('total') }),
  funnel: z.strictObject({ ...timed, by: z.enum(['total', 'day', 'niche', 'source']).default('total') }),
  revenue: z.strictObject({
    ...timed,
    by: z.enum(['day', 'week', 'month', 'niche', 'level', 'provider', 'source']).default('day'),
  }),
  coverage: z.strictObject({ ...range, by: z.enum(['state', 'prefix']).default('state') }),
  starvation: z.strictObject({ ...range }),
  providers: z.strictObject({ ...timed }),
  sources: z.strictObject({ ...timed }),
  'bad-leads': z.strictObject({
    ...timed,
    by: z.enum(['reason', 'provider', 'source', 'niche', 'level', 'day']).default('reason'),
  }),
} as const;
export type ReportName = keyof typeof reportQueries;

/** Most rows of one answer; `truncated` says that there are more, or may be. */
export const mostRows = 500;

const count = z.int();
const cents = z.int();
/** A share of 0 to 1; null where there is nothing to divide by. */
const ratio = z.number().nullable();
const key = { key: z.string(), label: z.string() };

/** The rows of each report. What a field counts stands in `reportFormulas`. */
export const reportRows = {
  kpis: z.object({
    ...key,
    leads: count,
    confirmed: count,
    approved: count,
    sold: count,
    sell_through: ratio,
    assignments: count,
    offered: count,
    fill: ratio,
    revenue_cents: cents,
    refunds: count,
    refund_cents: cents,
    refund_rate: ratio,
    refund_rate_cents: ratio,
  }),
  funnel: z.object({
    ...key,
    submitted: count,
    confirmed: count,
    approved: count,
    sold: count,
    viewed: count,
    accepted: count,
    bad: count,
    rejected: count,
    expired: count,
    unsold: count,
  }),
  revenue: z.object({
    ...key,
    leads: count,
    assignments: count,
    gross_cents: cents,
    refunds: count,
    refund_cents: cents,
    net_cents: cents,
    net_per_lead_cents: z.number().nullable(),
  }),
  coverage: z.object({
    niche_id: z.uuid(),
    niche: z.string(),
    area: z.string(),
    approved: count,
    unsold: count,
    unsold_share: ratio,
    active_subscriptions: count,
  }),
  starvation: z.object({
    subscription_id: z.uuid(),
    provider_id: z.uuid(),
    company: z.string(),
    niche: z.string(),
    level: z.string(),
    last_served_at: z.iso.datetime().nullable(),
    days_unserved: count,
    matched_leads: count,
    balance_cents: cents,
    price_cents: cents,
  }),
  providers: z.object({
    provider_id: z.uuid(),
    company: z.string(),
    status: z.string(),
    assignments: count,
    spent_cents: cents,
    view_rate: ratio,
    accept_rate: ratio,
    decline_rate: ratio,
    median_view_minutes: z.number().nullable(),
    reports: count,
    report_rate: ratio,
    approval_rate: ratio,
    refunds: count,
    refund_cents: cents,
    refund_rate: ratio,
  }),
  sources: z.object({
    source: z.string(),
    leads: count,
    confirm_rate: ratio,
    approved: count,
    rejected: count,
    duplicates: count,
    sold: count,
    sell_through: ratio,
    assignments: count,
    revenue_cents: cents,
    refunds: count,
    refund_cents: cents,
    refund_rate: ratio,
    reports: count,
    bad: count,
  }),
  'bad-leads': z.object({
    ...key,
    assignments: count,
    reports: count,
    report_rate: ratio,
    pending: count,
    approved: count,
    rejected: count,
    approval_rate: ratio,
    other_refunds: count,
    refund_cents: cents,
  }),
} as const satisfies Record<ReportName, z.ZodObject>;

/** The answer of a report: what was asked, as it was understood, and its rows. */
export function reportAnswer<Name extends ReportName>(name: Name) {
  return z.object({
    report: z.literal(name),
    /** Which moment decides whether a row is in the range, and in which group; null where there is no choice. */
    clock: z.enum(clocks).nullable(),
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    by: z.string().nullable(),
    items: z.array(reportRows[name]),
    truncated: z.boolean(),
    generated_at: z.iso.datetime(),
  });
}
