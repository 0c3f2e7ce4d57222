import { type Sql, sql } from '@fmhl/ops';
import { type Asked, cohort, keyOf, labelOf, orderOf, salesIn, share, within } from './report-groups.ts';

/** Leads, sales and money of a range. */
export function kpis(asked: Asked): Sql {
  return sql`
    with fact as (${asked.clock === 'created' ? factsOfCohort(asked) : factsOfTheirDay(asked)}),
    g as (
      select key, sum(leads)::bigint as leads, sum(confirmed)::bigint as confirmed, sum(approved)::bigint as approved,
             sum(sold)::bigint as sold, sum(offered)::bigint as offered, sum(assignments)::bigint as assignments,
             sum(cents)::bigint as revenue_cents, sum(refunds)::bigint as refunds, sum(refund_cents)::bigint as refund_cents
      from fact group by key)
    select key, ${labelOf(asked.by)} as label, leads, confirmed, approved, sold, ${share(sql`sold`, sql`approved`)} as sell_through,
           assignments, offered, ${share(sql`assignments`, sql`offered`)} as fill, revenue_cents, refunds, refund_cents,
           ${share(sql`refunds`, sql`assignments`)} as refund_rate, ${share(sql`refund_cents`, sql`revenue_cents`)} as refund_rate_cents
    from g order by ${orderOf(asked.by, sql`leads`)} limit ${asked.limit}::int`;
}

const factColumns = sql`key, leads, confirmed, approved, sold, offered, assignments, cents, refunds, refund_cents`;

/** Recipients that a lead was offered to: the places of its start level. */
const offered = sql`coalesce((select v.max_recipients from v_level v where v.niche_id = l.niche_id and v.ord = l.start_ord), 0)`;
const money = sql`a.price_cents, (a.refunded_at is not null)::int, case when a.refunded_at is null then 0 else a.price_cents end`;

/** All that became of the leads that were stored in the range. */
function factsOfCohort(asked: Asked): Sql {
  const key = keyOf(asked.by, { at: sql`l.created_at`, niche: sql`l.niche_id` });
  const stored = sql`not l.is_test and ${within(sql`l.created_at`, asked)}`;
  return sql`
    select ${key} as key, 1 as leads, (l.confirmed_at is not null)::int as confirmed, (l.approved_at is not null)::int as approved,
           (l.assigned_count > 0)::int as sold, case when l.approved_at is null then 0 else ${offered} end as offered,
           0 as assignments, 0::bigint as cents, 0 as refunds, 0::bigint as refund_cents
    from v_lead l where ${stored}
    union all
    select ${key}, 0, 0, 0, 0, 0, 1, ${money} from v_lead l join v_assignment a on a.lead_id = l.id where ${stored}`;
}

/** Whatever happened in the range, each on its own day; a refund on the day of what it refunds. */
function factsOfTheirDay(asked: Asked): Sql {
  const key = (at: Sql) => keyOf(asked.by, { at, niche: sql`l.niche_id` });
  return sql`
    select ${factColumns} from (
      select ${key(sql`l.created_at`)} as key, 1 as leads, 0 as confirmed, 0 as approved, 0 as sold, 0 as offered, 0 as assignments,
             0::bigint as cents, 0 as refunds, 0::bigint as refund_cents
      from v_lead l where not l.is_test and ${within(sql`l.created_at`, asked)}
      union all
      select ${key(sql`l.confirmed_at`)}, 0, 1, 0, 0, 0, 0, 0, 0, 0
      from v_lead l
      -- A link is good for days at most: by that the leads are found in the order in which they came.
      where not l.is_test and ${within(sql`l.confirmed_at`, asked)} and l.created_at >= ${asked.from}::timestamptz - interval '30 days'
        and l.created_at < ${asked.to}::timestamptz
      union all
      select ${key(sql`l.approved_at`)}, 0, 0, 1, 0, ${offered}, 0, 0, 0, 0
      from v_lead l where not l.is_test and ${within(sql`l.approved_at`, asked)}
      union all
      -- The first place of a lead is taken once.
      select ${key(sql`a.assigned_at`)}, 0, 0, 0, (a.slot = 1)::int, 0, 1, ${money}
      from v_assignment a join v_lead l on l.id = a.lead_id where ${within(sql`a.assigned_at`, asked)}) fact`;
}

/** How far leads come, step by step. */
export function funnel(asked: Asked): Sql {
  const key = keyOf(asked.by, { at: sql`c.at`, niche: sql`c.niche_id`, source: sql`c.source` });
  return sql`
    with c as materialized (${cohort(asked)}),
    seen as (
      select c.id, bool_or(m.viewed_at is not null) as viewed, bool_or(m.decision = 'accepted') as accepted
      from c join v_assignment a on a.lead_id = c.id join v_inbox_mark m on m.assignment_id = a.id
      group by c.id),
    g as (
      select ${key} as key, count(*) as submitted, count(c.confirmed_at) as confirmed, count(c.approved_at) as approved,
             count(*) filter (where c.assigned_count > 0) as sold, count(*) filter (where s.viewed) as viewed,
             count(*) filter (where s.accepted) as accepted, count(c.bad_at) as bad,
             count(*) filter (where c.status = 'rejected') as rejected,
             count(*) filter (where c.status = 'expired' and c.approved_at is null) as expired,
             count(*) filter (where c.assigned_count = 0 and c.approved_at is not null and c.status in ('unsold', 'expired')) as unsold
      from c left join seen s on s.id = c.id
      group by 1)
    select key, ${labelOf(asked.by)} as label, submitted, confirmed, approved, sold, viewed, accepted, bad, rejected, expired, unsold
    from g order by ${orderOf(asked.by, sql`submitted`)} limit ${asked.limit}::int`;
}

/** What came in, and what of it went back. */
export function revenue(asked: Asked): Sql {
  const key = keyOf(asked.by, {
    at: sql`a.at`,
    niche: sql`a.niche_id`,
    level: sql`a.level_id`,
    provider: sql`a.provider_id`,
    source: sql`a.source`,
  });
  return sql`
    with a as (${salesIn(asked)}),
    g as (
      select ${key} as key, count(distinct a.lead_id) as leads, count(*) as assignments, sum(a.price_cents)::bigint as gross_cents,
             count(a.refunded_at) as refunds, coalesce(sum(a.price_cents) filter (where a.refunded_at is not null), 0)::bigint as refund_cents
      from a group by 1)
    select key, ${labelOf(asked.by)} as label, leads, assignments, gross_cents, refunds, refund_cents, gross_cents - refund_cents as net_cents,
           round((gross_cents - refund_cents)::numeric / nullif(leads, 0), 2)::float8 as net_per_lead_cents
    from g order by ${orderOf(asked.by, sql`gross_cents`)} limit ${asked.limit}::int`;
}
