import type { z } from 'zod';
import type { Clock, ReportName, reportRows } from './report-contract.ts';

/** What one report says: in a sentence, on which clock, and field by field. */
export interface ReportReference<Field extends string = string> {
  readonly about: string;
  /** What it does not look at. */
  readonly limits?: string;
  readonly clocks: Readonly<Record<Clock, string>> | undefined;
  readonly fields: Readonly<Record<Field, string>>;
}

type Fields<Name extends ReportName> = keyof z.infer<(typeof reportRows)[Name]> & string;

const key = 'The group: a day, week or month of UTC, or the id or word of what it is grouped by';
const label = 'The group as people call it';
const sales = 'Leads sold to one provider each';
const refunds = 'Those of them that were refunded, whenever that was';
const cohortClocks = {
  created: 'the leads that were stored in the range, and all that became of them',
  sold: 'the leads whose first sale was in the range, and all that became of them',
};
const saleClocks = {
  created: 'the sales of leads that were stored in the range',
  sold: 'the sales that were made in the range',
};

/** Every number of every report. Test leads are never counted; refunds are counted with the sale they undo. */
export const reportFormulas: { readonly [Name in ReportName]: ReportReference<Fields<Name>> } = {
  kpis: {
    about: 'Leads, sales and money',
    clocks: {
      created: 'the leads that were stored in the range, and all that became of them',
      sold: 'whatever happened in the range, each on its own day: stored, confirmed, approved, sold',
    },
    fields: {
      key,
      label,
      leads: 'Leads stored',
      confirmed: 'Leads confirmed by their link',
      approved: 'Leads approved',
      sold: 'Leads with at least one sale',
      sell_through: 'sold ÷ approved',
      assignments: sales,
      offered:
        'Recipients that approved leads were offered to: the places of their start level as they are now; 0 before the first try',
      fill: 'assignments ÷ offered',
      revenue_cents: 'Prices of assignments, refunded ones too',
      refunds,
      refund_cents: 'Prices of refunds',
      refund_rate: 'refunds ÷ assignments',
      refund_rate_cents: 'refund_cents ÷ revenue_cents',
    },
  },
  funnel: {
    about: 'How far leads come, step by step',
    clocks: cohortClocks,
    fields: {
      key,
      label,
      submitted: 'Leads of the range',
      confirmed: 'Those confirmed by their link',
      approved: 'Those approved',
      sold: 'Those with at least one sale',
      viewed: 'Those that a buyer has opened',
      accepted: 'Those that a buyer has accepted',
      bad: 'Those marked bad for all',
      rejected: 'Those rejected by a person',
      expired: 'Those never confirmed in time',
      unsold: 'Those approved that found no buyer, for now or for good',
    },
  },
  revenue: {
    about: 'What sales brought, and what of it went back',
    clocks: saleClocks,
    fields: {
      key,
      label,
      leads: 'Different leads among the assignments',
      assignments: sales,
      gross_cents: 'Their prices',
      refunds,
      refund_cents: 'Prices of refunds',
      net_cents: 'gross_cents − refund_cents',
      net_per_lead_cents: 'net_cents ÷ leads',
    },
  },
  coverage: {
    about: 'Where approved leads find no buyer, by niche and area, worst first',
    clocks: undefined,
    fields: {
      niche_id: 'Id of the niche',
      niche: 'Its name',
      area: 'A state or, by prefix, the first three digits of a postcode; `US` for leads that name no place',
      approved: 'Leads approved in the range',
      unsold: 'Those of them without any sale that are unsold or expired now',
      unsold_share: 'unsold ÷ approved',
      active_subscriptions: 'Active subscriptions to the niche that serve the whole area, now; 1,000 stands for more',
    },
  },
  starvation: {
    about: 'Active funded subscriptions that were served nothing although leads matched, longest waiting first',
    limits:
      'The 1,000 unserved subscriptions that waited longest are matched with leads; where there are more, `truncated` is true, however short the answer is.',
    clocks: undefined,
    fields: {
      subscription_id: 'Id of the subscription: active, its balance covers the price, provider, level and niche active',
      provider_id: 'Id of the provider',
      company: 'Their company',
      niche: 'Name of the niche',
      level: 'Name of the level',
      last_served_at: 'Its last sale, before the range; null for none yet',
      days_unserved: 'Whole days from then, or from its making, to the end of the range',
      matched_leads: 'Leads approved in the range that its areas and filter take; at least 1, and 100 stands for more',
      balance_cents: 'Balance of the provider, now',
      price_cents: 'Price of the level, now',
    },
  },
  providers: {
    about: 'What providers make of the leads they buy, largest buyers first',
    clocks: saleClocks,
    fields: {
      provider_id: 'Id of the provider',
      company: 'Their company',
      status: 'Their status, now',
      assignments: 'Leads bought',
      spent_cents: 'Their prices',
      view_rate: 'opened ÷ assignments',
      accept_rate: 'accepted ÷ assignments',
      decline_rate: 'declined ÷ assignments',
      median_view_minutes: 'Median from the sale to the first look, of those opened',
      reports: 'Leads reported bad',
      report_rate: 'reports ÷ assignments',
      approval_rate: 'Reports approved ÷ reports decided',
      refunds,
      refund_cents: 'Prices of refunds',
      refund_rate: 'refunds ÷ assignments',
    },
  },
  sources: {
    about: 'What leads are worth, by where they come from',
    clocks: cohortClocks,
    fields: {
      source: '`source` of the submission; (none) for leads without one',
      leads: 'Leads of the range',
      confirm_rate: 'confirmed ÷ leads',
      approved: 'Leads approved',
      rejected: 'Leads rejected by a person',
      duplicates: 'Leads that came again within the time of their niche',
      sold: 'Leads with at least one sale',
      sell_through: 'sold ÷ approved',
      assignments: sales,
      revenue_cents: 'Their prices',
      refunds,
      refund_cents: 'Prices of refunds',
      refund_rate: 'refunds ÷ assignments',
      reports: 'Sales reported bad',
      bad: 'Leads marked bad for all',
    },
  },
  'bad-leads': {
    about: 'What buyers report as bad, and what comes of it',
    clocks: saleClocks,
    fields: {
      key,
      label,
      assignments: 'Sales of the group; by reason, all sales of the range',
      reports: 'Those of them that their buyer reported',
      report_rate: 'reports ÷ assignments',
      pending: 'Reports not decided yet',
      approved: 'Reports approved',
      rejected: 'Reports rejected',
      approval_rate: 'approved ÷ (approved + rejected)',
      other_refunds: 'Sales refunded because the lead was bad for all, or as goodwill',
      refund_cents: 'Prices of all refunds of the group',
    },
  },
};
