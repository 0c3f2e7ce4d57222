import { type Queryable, type Sql, sql } from '@fmhl/ops';
import type { PriceEffect } from './price-plan.ts';
import type { Turned } from './queries.ts';

export async function readPriceEffect(
  db: Queryable,
  { levelId, priceCents }: { levelId: string; priceCents: number },
): Promise<PriceEffect> {
  const { rows } = await db.query<PriceEffect>(sql`
    select count(*) filter (where s.status = 'active')::int as active,
           count(*) filter (where s.status = 'active' and coalesce(a.balance_cents, 0) < ${priceCents}::bigint)::int
             as "becomesUnfunded",
           count(*) filter (where s.status = 'paused_funds' and a.balance_cents >= ${priceCents}::bigint)::int as "becomesFunded"
    from subscription s left join v_account a on a.provider_id = s.provider_id
    where s.level_id = ${levelId} and s.status in ('active', 'paused_funds')`);
  return rows[0] as PriceEffect;
}

/** What the level sold in 30 days: leads, and their prices without what was refunded. */
export async function readLevelSales(
  db: Queryable,
  { levelId, since }: { levelId: string; since: Date },
): Promise<{ leads: number; revenue_cents: number }> {
  const { rows } = await db.query<{ leads: number; revenue_cents: number }>(sql`
    select count(distinct lead_id)::int as leads,
           coalesce(sum(price_cents) filter (where refunded_at is null), 0)::bigint as revenue_cents
    from v_assignment where level_id = ${levelId} and assigned_at >= ${since}`);
  return rows[0] as { leads: number; revenue_cents: number };
}

/** The new version of the level. */
export async function updatePrice(tx: Queryable, levelId: string, priceCents: number): Promise<number> {
  const { rows } = await tx.query<{ version: number }>(sql`
    update level set price_cents = ${priceCents}, version = version + 1, updated_at = clock_timestamp()
    where id = ${levelId} returning version`);
  return (rows[0] as { version: number }).version;
}

interface Sweep {
  levelId: string;
  priceCents: number;
  ref: string;
}

/** Pauses what the price made unaffordable at a level. */
export function pauseAtPrice(tx: Queryable, sweep: Sweep): Promise<Turned[]> {
  const unpaid = sql`coalesce(a.balance_cents, 0) < ${sweep.priceCents}::bigint`;
  return turnAtPrice(tx, sweep, { from: 'active', to: 'paused_funds', when: unpaid });
}

/** Resumes what the price made affordable at a level. Who pays again stands at the level's clock at least. */
export function resumeAtPrice(tx: Queryable, sweep: Sweep): Promise<Turned[]> {
  const paid = sql`coalesce(a.balance_cents, 0) >= ${sweep.priceCents}::bigint`;
  return turnAtPrice(tx, sweep, { from: 'paused_funds', to: 'active', when: paid });
}

async function turnAtPrice(
  tx: Queryable,
  { levelId, ref }: Sweep,
  { from, to, when }: { from: 'active' | 'paused_funds'; to: 'active' | 'paused_funds'; when: Sql },
): Promise<Turned[]> {
  const { rows } = await tx.query<Turned>(sql`
    with turning as materialized (
      select s.id from subscription s left join v_account a on a.provider_id = s.provider_id
      where s.level_id = ${levelId} and s.status = ${from} and ${when}
      order by s.id for no key update of s),
    turned as (
      update subscription s
      set status = ${to}, status_ref = ${ref}, version = s.version + 1, updated_at = clock_timestamp(),
          vt = case when ${to} = 'active' then greatest(s.vt, l.vclock) else s.vt end
      from turning t, level l
      where s.id = t.id and s.status = ${from} and l.id = s.level_id
      returning s.id, s.provider_id)
    select t.provider_id, array_agg(t.id order by t.id) as ids, c.email
    from turned t join v_provider_contact c using (provider_id)
    group by t.provider_id, c.email order by t.provider_id`);
  return rows;
}
