import { prepared, type Queryable, type Sql, sql } from '@fmhl/ops';
import type { Candidate } from './ranking.ts';

/** What of a lead decides who may buy it. */
export interface Demand {
  readonly leadId: string;
  /** With `*`, which every lead is in. */
  readonly areas: readonly string[];
  readonly form: unknown;
}

/** What the form and the places of a lead ask for. */
export function demandOf(lead: { id: string; area_codes: readonly string[]; form: unknown }): Demand {
  return { leadId: lead.id, areas: [...new Set(['*', ...lead.area_codes])], form: lead.form };
}

/** Whether the subscription `s` of the provider `p` has a place left in that provider's day. */
export const hasPlaceToday = sql`
  (s.daily_cap is null or s.day_key is null or s.day_n < s.daily_cap or s.day_key < (clock_timestamp() at time zone p.tz)::date)`;

/**
 * Whether the subscription `s`, which serves an area of the lead, may buy it: active provider, a place left in the provider's day, not
 * yet a buyer, filter. Scalar subselects in a CASE: each is one index probe per row, in this order. As joins or EXISTS, the planner may
 * turn them into hashes over whole tables.
 */
function mayBuy({ leadId, form }: Demand): Sql {
  return sql`
    case
      when (select true from v_provider p
            where p.id = s.provider_id and p.status = 'active' and ${hasPlaceToday} limit 1) is null
        then false
      when (select true from v_assignment x where x.lead_id = ${leadId}::uuid and x.provider_id = s.provider_id limit 1)
        then false
      else s.filter_rules is null or subscription_matches(s.filter_rules, ${JSON.stringify(form ?? {})}::jsonb)
    end`;
}

/** A place in the order of a level. */
export interface Place {
  readonly vt: number;
  readonly id: string;
}

/** Before the first of every level: virtual time never falls below 0. */
export const front: Place = { vt: -1, id: '00000000-0000-0000-0000-000000000000' };

export interface Batch {
  readonly ids: readonly string[];
  /** Where the next batch begins; null when nothing was found. */
  readonly last: Place | null;
  /** Rows of the order that were read. */
  readonly examined: number;
}

/**
 * Up to `size` subscriptions behind `after` that may buy the lead, in the fair order, and locks their accounts and then them, each in the
 * order of their ids. Fewer: the order has ended. What it saw is a hint, as it looked before it may have waited for a lock.
 */
export async function walk(
  tx: Queryable,
  demand: Demand,
  at: { levelId: string; after: Place; size: number },
): Promise<Batch> {
  const { rows } = await tx.query<{
    ids: string[];
    vt: number | null;
    id: string | null;
    examined: number;
  }>(walkStatement(demand, at));
  const row = rows[0];
  if (!row) throw new Error('the walk answered nothing');
  const last = row.vt === null || row.id === null ? null : { vt: row.vt, id: row.id };
  return { ids: row.ids, last, examined: row.examined };
}

/**
 * The statement of the walk, apart for the test of its plan. The index of the order carries the areas: only who serves one of the lead's
 * is looked up in the table, by a subselect too, so that it stays a probe per row. The order comes from the inner select: an ORDER BY
 * beside the LIMIT would let the planner read and sort the whole level.
 */
export function walkStatement(
  demand: Demand,
  { levelId, after, size }: { levelId: string; after: Place; size: number },
) {
  const order = sql`
    v_subscription where level_id = ${levelId}::uuid and status = 'active' and (vt, id) > (${after.vt}::bigint, ${after.id}::uuid)`;
  return prepared(
    'walk',
    sql`
      with hit as materialized (
        select o.id, o.provider_id, o.vt, o.nth
        from (select id, provider_id, vt, areas, row_number() over (order by vt, id) as nth from ${order} order by vt, id) o
        where o.areas && ${demand.areas}::text[] and (select ${mayBuy(demand)} from v_subscription s where s.id = o.id)
        limit ${size}::int),
      accounts as materialized (
        select provider_id from v_account where provider_id = any(array(select provider_id from hit))
        order by provider_id for no key update),
      subscriptions as materialized (
        select id from v_subscription
        where id = any(array(select id from hit)) and (select count(*) from accounts) >= 0
        order by id for no key update)
      select (select count(*) from subscriptions)::int as locked,
             array(select id from hit) as ids,
             (select vt from hit where nth = (select max(nth) from hit)) as vt,
             (select id from hit where nth = (select max(nth) from hit)) as id,
             case when (select count(*) from hit) = ${size}::int then (select max(nth) from hit)
                  else (select count(*) from ${order}) end::int as examined`,
  );
}

/** A candidate as the locks show it. */
export interface Buyer extends Candidate {
  /** False when it may no longer buy: it changed between the walk and the locks. */
  readonly eligible: boolean;
}

/** Reads a batch again under its locks: this is the verdict. A statement of its own, for it must see what was committed while the walk waited. */
export async function reread(tx: Queryable, demand: Demand, batch: Batch): Promise<Buyer[]> {
  if (batch.ids.length === 0) return [];
  const { rows } = await tx.query<BuyerRow>(
    prepared(
      'read_buyers',
      sql`
        select s.id, s.provider_id, s.vt, s.weight, s.daily_cap, coalesce(a.balance_cents, 0) as balance_cents,
               d.day::text, case when s.day_key = d.day then s.day_n + 1 else 1 end as day_number,
               s.status = 'active' and s.areas && ${demand.areas}::text[] and ${mayBuy(demand)} as eligible
        from v_subscription s
        join v_provider p on p.id = s.provider_id
        left join v_account a on a.provider_id = s.provider_id
        cross join lateral (select greatest(s.day_key, (clock_timestamp() at time zone p.tz)::date) as day) d
        where s.id = any(${batch.ids}::uuid[])
        order by s.vt, s.id`,
    ),
  );
  return rows.map(buyerOf);
}

interface BuyerRow {
  id: string;
  provider_id: string;
  vt: number;
  weight: number;
  daily_cap: number | null;
  balance_cents: number;
  day: string;
  day_number: number;
  eligible: boolean;
}

function buyerOf(row: BuyerRow): Buyer {
  return {
    subscriptionId: row.id,
    providerId: row.provider_id,
    vt: row.vt,
    weight: row.weight,
    balanceCents: row.balance_cents,
    day: row.day,
    dayNumber: row.day_number,
    dailyCap: row.daily_cap,
    eligible: row.eligible,
  };
}
