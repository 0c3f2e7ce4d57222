import { type Sql, sql } from '@fmhl/ops';
import { type Asked, cohort, keyOf, labelOf, noSource, orderOf, salesIn, share } from './report-groups.ts';

const refundCents = sql`coalesce(sum(a.price_cents) filter (where a.refunded_at is not null), 0)::bigint`;

/** What providers did with what they bought. */
export function providers(asked: Asked): Sql {
  return sql`
    with a as (${salesIn(asked)}),
    g as (
      select a.provider_id, count(*) as assignments, sum(a.price_cents)::bigint as spent_cents, count(m.viewed_at) as viewed,
             count(*) filter (where m.decision = 'accepted') as accepted, count(*) filter (where m.decision = 'declined') as declined,
             percentile_cont(0.5) within group (order by extract(epoch from m.viewed_at - a.assigned_at) / 60) as minutes,
             count(r.reported_at) as reports, count(*) filter (where r.via = 'report' and r.status = 'approved') as approved,
             count(*) filter (where r.via = 'report' and r.status = 'rejected') as rejected, count(a.refunded_at) as refunds,
             ${refundCents} as refund_cents
      from a left join v_inbox_mark m on m.assignment_id = a.id left join v_bad_lead_report r on r.assignment_id = a.id
      group by a.provider_id)
    select g.provider_id, p.company, p.status, assignments, spent_cents, ${share(sql`viewed`, sql`assignments`)} as view_rate,
           ${share(sql`accepted`, sql`assignments`)} as accept_rate, ${share(sql`declined`, sql`assignments`)} as decline_rate,
           round(minutes::numeric, 1)::float8 as median_view_minutes, reports, ${share(sql`reports`, sql`assignments`)} as report_rate,
           ${share(sql`approved`, sql`approved + rejected`)} as approval_rate, refunds, refund_cents,
           ${share(sql`refunds`, sql`assignments`)} as refund_rate
    from g join v_provider p on p.id = g.provider_id
    order by assignments desc, g.provider_id limit ${asked.limit}::int`;
}

/** What leads are worth, by where they come from. */
export function sources(asked: Asked): Sql {
  return sql`
    with c as materialized (${cohort(asked)}),
    sale as (
      select c.id, count(*) as assignments, sum(a.price_cents)::bigint as cents, count(a.refunded_at) as refunds,
             ${refundCents} as refund_cents, count(r.reported_at) as reports
      from c join v_assignment a on a.lead_id = c.id left join v_bad_lead_report r on r.assignment_id = a.id
      group by c.id),
    g as (
      select coalesce(c.source, ${noSource}) as source, count(*) as leads, count(c.confirmed_at) as confirmed,
             count(c.approved_at) as approved, count(*) filter (where c.status = 'rejected') as rejected,
             count(c.duplicate_of) as duplicates, count(*) filter (where c.assigned_count > 0) as sold,
             coalesce(sum(s.assignments), 0)::bigint as assignments, coalesce(sum(s.cents), 0)::bigint as revenue_cents,
             coalesce(sum(s.refunds), 0)::bigint as refunds, coalesce(sum(s.refund_cents), 0)::bigint as refund_cents,
             coalesce(sum(s.reports), 0)::bigint as reports, count(c.bad_at) as bad
      from c left join sale s on s.id = c.id
      group by 1)
    select source, leads, ${share(sql`confirmed`, sql`leads`)} as confirm_rate, approved, rejected, duplicates, sold,
           ${share(sql`sold`, sql`approved`)} as sell_through, assignments, revenue_cents, refunds, refund_cents,
           ${share(sql`refunds`, sql`assignments`)} as refund_rate, reports, bad
    from g order by leads desc, source limit ${asked.limit}::int`;
}

/** What was reported, and what came of it. By reason, every group is compared with all sales of the range. */
export function badLeads(asked: Asked): Sql {
  const key = keyOf(asked.by, {
    at: sql`a.at`,
    niche: sql`a.niche_id`,
    level: sql`a.level_id`,
    provider: sql`a.provider_id`,
    source: sql`a.source`,
    reason: sql`r.reason`,
  });
  const byReason = asked.by === 'reason';
  return sql`
    with a as materialized (${salesIn(asked)}),
    g as (
      select ${key} as key, ${byReason ? sql`(select count(*) from a)` : sql`count(*)`} as assignments, count(r.reported_at) as reports,
             count(*) filter (where r.status = 'pending') as pending,
             count(*) filter (where r.via = 'report' and r.status = 'approved') as approved,
             count(*) filter (where r.via = 'report' and r.status = 'rejected') as rejected,
             count(*) filter (where r.via <> 'report') as other_refunds, ${refundCents} as refund_cents
      from a left join v_bad_lead_report r on r.assignment_id = a.id
      ${byReason ? sql`where r.reason is not null` : sql``}
      group by 1)
    select key, ${labelOf(asked.by)} as label, assignments, reports, ${share(sql`reports`, sql`assignments`)} as report_rate, pending,
           approved, rejected, ${share(sql`approved`, sql`approved + rejected`)} as approval_rate, other_refunds, refund_cents
    from g where reports + other_refunds > 0
    order by ${orderOf(asked.by, sql`reports`)} limit ${asked.limit}::int`;
}
