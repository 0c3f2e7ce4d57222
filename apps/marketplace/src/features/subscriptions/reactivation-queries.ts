import { currentContext, prepared, type Queryable, type Sql, sql } from '@fmhl/ops';
import type { Turned } from './queries.ts';

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
 * balances without locking them, for a thousand locked accounts would stop every sale to them: should a sale spend the money meanwhile,
 * the next walk that meets the subscription pauses it again.
 * Rows are looked up by their keys: joined as a set, each batch would read the whole table, twice.
 */
export function reactivateStatement(providerIds: readonly string[], ref: string): Sql {
  return sql`
    with sleeper as materialized (
      select k.id as provider_id, s.id, s.level_id
      from unnest(${providerIds}::uuid[]) as k(id)
      cross join lateral (
        select id, level_id from subscription where provider_id = k.id and status = 'paused_funds' offset 0) s),
    payable as materialized (
      select s.id
      from sleeper s
      join provider p on p.id = s.provider_id and p.status = 'active'
      join v_account a on a.provider_id = s.provider_id
      join level l on l.id = s.level_id and l.status = 'active' and l.price_cents <= a.balance_cents
      join niche n on n.id = l.niche_id and n.status = 'active'),
    locked as materialized (
      select id from subscription
      where id = any(array(select id from payable)) and status = 'paused_funds'
      order by id for no key update skip locked),
    resumed as (
      update subscription s
      set status = 'active', status_ref = ${ref}, vt = greatest(s.vt, l.vclock), version = s.version + 1,
          updated_at = clock_timestamp()
      from level l
      where s.id = any(array(select id from locked)) and s.status = 'paused_funds' and l.id = s.level_id
      returning s.id, s.provider_id),
    turned as (select provider_id, array_agg(id order by id) as ids from resumed group by provider_id)
    select t.provider_id, t.ids, c.email from turned t join v_provider_contact c using (provider_id) order by t.provider_id`;
}

export async function reactivate(tx: Queryable, providerIds: readonly string[], ref: string): Promise<Turned[]> {
  const { rows } = await tx.query<Turned>(prepared('reactivate', reactivateStatement(providerIds, ref)));
  return rows;
}

/** What a run has woken, by its facts: with what its attempts did that broke off. */
export async function wokenBy(db: Queryable, runId: string): Promise<{ reactivated: number; providers: number }> {
  const { rows } = await db.query<{ reactivated: number; providers: number }>(sql`
    select coalesce(sum((payload ->> 'count')::int), 0)::int as reactivated,
           count(distinct payload ->> 'provider_id')::int as providers
    from ops.event_outbox
    where correlation_id = ${currentContext()?.correlationId ?? 'none'} and type = 'subscription.resumed'
      and payload ->> 'cause' = 'reactivation' and payload ->> 'ref' = ${runId}`);
  return rows[0] ?? { reactivated: 0, providers: 0 };
}
