import { prepared, type Queryable, type Sql, sql } from '@fmhl/ops';
import type { Turned } from './queries.ts';

/** Subscriptions `s` that slept for funds only and need not: everything about them is active, and the balance pays the level's price. */
const fundable = sql`
  join level l on l.id = s.level_id and l.status = 'active'
  join niche n on n.id = l.niche_id and n.status = 'active'
  join provider p on p.id = s.provider_id and p.status = 'active'
  join v_account a on a.provider_id = s.provider_id and a.balance_cents >= l.price_cents`;

/** One look over all who sleep. Nearly none of them can pay: whose provider may buy is asked last, of the few who can. */
export const fundableStatement: Sql = sql`
  select count(*)::int as checked,
         coalesce(
           array_agg(distinct s.provider_id order by s.provider_id) filter (
             where a.balance_cents >= l.price_cents and l.status = 'active' and n.status = 'active'
               and (select p.status from provider p where p.id = s.provider_id) = 'active'),
           '{}') as provider_ids
  from subscription s
  join level l on l.id = s.level_id
  join niche n on n.id = l.niche_id
  left join v_account a on a.provider_id = s.provider_id
  where s.status = 'paused_funds'`;

/** Subscriptions paused for funds, and the providers who could pay one of theirs, in order. */
export async function findFundable(db: Queryable): Promise<{ checked: number; providerIds: string[] }> {
  const { rows } = await db.query<{ checked: number; provider_ids: string[] }>(fundableStatement);
  return { checked: rows[0]?.checked ?? 0, providerIds: rows[0]?.provider_ids ?? [] };
}

/**
 * Resumes what these providers can pay, in the order of ids; what somebody else is changing at this moment is left to them. It reads the
 * balances without locking them, for two thousand locked accounts would stop every sale to them: should a sale spend the money meanwhile,
 * the next walk that meets the subscription pauses it again.
 */
export function reactivateStatement(providerIds: readonly string[], ref: string): Sql {
  return sql`
    with funded as materialized (
      select s.id, l.vclock from subscription s ${fundable}
      where s.provider_id = any(${providerIds}::uuid[]) and s.status = 'paused_funds'
      order by s.id for no key update of s skip locked),
    resumed as (
      update subscription s
      set status = 'active', status_ref = ${ref}, vt = greatest(s.vt, f.vclock), version = s.version + 1,
          updated_at = clock_timestamp()
      from funded f where s.id = f.id and s.status = 'paused_funds'
      returning s.id, s.provider_id)
    select r.provider_id, array_agg(r.id order by r.id) as ids, c.email
    from resumed r join v_provider_contact c using (provider_id)
    group by r.provider_id, c.email order by r.provider_id`;
}

export async function reactivate(tx: Queryable, providerIds: readonly string[], ref: string): Promise<Turned[]> {
  const { rows } = await tx.query<Turned>(prepared('reactivate', reactivateStatement(providerIds, ref)));
  return rows;
}
