import { type Sql, sql } from '@fmhl/ops';
import { type Asked, share, within } from './report-groups.ts';

/** Most subscriptions that one place is said to have; counting further tells nothing more. */
const mostSubscriptions = 1_000;

/** Where approved leads found no buyer. `area` is a state or the first three digits of a postcode. */
export function coverage(asked: Asked): Sql {
  const area = asked.by === 'prefix' ? sql`prefix` : sql`state`;
  return sql`
    with l as (
      select l.niche_id, (l.assigned_count = 0 and l.status in ('unsold', 'expired')) as unsold,
             (select c from unnest(l.area_codes) c where c ~ '^US-[A-Z]{2}$' limit 1) as state,
             (select c from unnest(l.area_codes) c where c ~ '^US-[0-9]{3}$' limit 1) as prefix
      from v_lead l where not l.is_test and ${within(sql`l.approved_at`, asked)}),
    g as (
      select niche_id, coalesce(${area}, 'US') as area, coalesce(min(state), 'US') as state, count(*) as approved,
             count(*) filter (where unsold) as unsold
      from l group by 1, 2
      having bool_or(unsold)
      order by 5 desc, 4 desc, 1, 2 limit ${asked.limit}::int)
    select g.niche_id, n.name as niche, g.area, g.approved, g.unsold, ${share(sql`g.unsold`, sql`g.approved`)} as unsold_share,
           (select count(*) from (
              select distinct s.id from v_level v
              join v_subscription_area a on a.level_id = v.id and a.area in (g.area, g.state, 'US', '*')
              join v_subscription s on s.id = a.subscription_id and s.status = 'active'
              where v.niche_id = g.niche_id and v.status = 'active' limit ${mostSubscriptions}::int) serving) as active_subscriptions
    from g join v_niche n on n.id = g.niche_id
    order by g.unsold desc, g.approved desc, g.niche_id, g.area`;
}

/** Subscriptions that are matched with leads, those first which have waited longest. */
const mostCandidates = 1_000;
/** Most leads that are counted as matching one subscription. */
const mostMatches = 100;

/** Who could buy, and was served nothing in the whole range. */
function unserved(asked: Asked, limit: number): Sql {
  return sql`
    select s.id, s.provider_id, s.areas, s.filter_rules, s.last_served_at, coalesce(s.last_served_at, b.created_at) as since,
           p.company, v.niche_id, n.name as niche, v.name as level, v.price_cents, c.balance_cents
    from v_subscription s
    join v_subscription_since b on b.subscription_id = s.id
    join v_level v on v.id = s.level_id and v.status = 'active'
    join v_niche n on n.id = v.niche_id and n.status = 'active'
    join v_provider p on p.id = s.provider_id and p.status = 'active'
    join v_account c on c.provider_id = s.provider_id and c.balance_cents >= v.price_cents
    where s.status = 'active' and coalesce(s.last_served_at, b.created_at) < ${asked.from}::timestamptz
    order by since, s.id limit ${limit}::int`;
}

/** Whether there are more of them than {@link starvation} looks at. */
export function isStarvationCut(asked: Asked): Sql {
  return sql`select count(*) > ${mostCandidates}::int as is_cut from (${unserved(asked, mostCandidates + 1)}) waiting`;
}

/** Who could buy, and was served nothing in the whole range although leads of it would have fitted. */
export function starvation(asked: Asked): Sql {
  return sql`
    with starved as materialized (${unserved(asked, mostCandidates)}),
    fresh as materialized (
      select l.niche_id, l.area_codes, q.form
      from v_lead l join v_lead_person q on q.lead_id = l.id
      where not l.is_test and ${within(sql`l.approved_at`, asked)} and l.niche_id in (select niche_id from starved))
    select s.id as subscription_id, s.provider_id, s.company, s.niche, s.level,
           to_char(s.last_served_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as last_served_at,
           floor(extract(epoch from ${asked.to}::timestamptz - s.since) / 86400)::int as days_unserved, m.matched_leads, s.balance_cents,
           s.price_cents
    from starved s
    cross join lateral (
      select count(*) as matched_leads from (
        select from fresh f
        where f.niche_id = s.niche_id and f.area_codes && s.areas and public.subscription_matches(s.filter_rules, f.form)
        limit ${mostMatches}::int) fitting) m
    where m.matched_leads > 0
    order by s.since, s.id limit ${asked.limit}::int`;
}
