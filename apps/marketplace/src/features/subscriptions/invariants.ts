import type { Invariant } from '@fmhl/ops';

/** Periods of each level's price, as the audit log tells them: (level_id, since, until, price_cents). */
const pricePeriods = `
  select level_id, since, coalesce(lead(since) over (partition by level_id order by since), 'infinity') as until, price_cents
  from (
    select t.target_id::uuid as level_id, t.at as since, (t.details ->> 'to_cents')::bigint as price_cents
    from ops.audit_log t where t.target_type = 'level' and t.action = 'level.price_changed'
    union all
    -- Before the first change, what that changed; without one, what it costs now.
    select l.id, '-infinity', coalesce(
             (select (t.details ->> 'from_cents')::bigint from ops.audit_log t
              where t.target_type = 'level' and t.target_id = l.id::text and t.action = 'level.price_changed'
              order by t.seq limit 1), l.price_cents)
    from v_level l) p`;

/** What must always be true of subscriptions and prices. */
export const subscriptionInvariants: readonly Invariant[] = [
  {
    name: 'I9',
    title: 'The price charged is the price of the level at that moment.',
    enforcedBy: 'edits of a price and sales take the same lock of the niche',
    next: 'compare the audit log of the level with the assignment; refund the difference by hand',
    sql: `
      select a.id as assignment_id, a.level_id, a.price_cents as charged_cents, p.price_cents as level_cents
      from v_assignment a
      join (${pricePeriods}) p on p.level_id = a.level_id and a.assigned_at >= p.since and a.assigned_at < p.until
      where a.price_cents <> p.price_cents and a.assigned_at >= $1::timestamptz`,
  },
];
