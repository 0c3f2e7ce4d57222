import { currentContext, prepared, type Queryable, sql, type Tx } from '@fmhl/ops';
import { chargeEntriesFragment, debitFragment } from '../billing/index.ts';
import { leadForSale, type LeadForSale } from '../leads/index.ts';
import { saleMarks } from '../subscriptions/index.ts';
import type { Level } from './cascade.ts';
import type { Choice } from './ranking.ts';

export interface NicheLock {
  readonly id: string;
  readonly name: string;
  readonly status: 'active' | 'paused';
}

/**
 * Locks the niche of a lead, which is the mutex of fairness, rotation and prices, and then the lead. Undefined when there is no such lead.
 * One statement: a lock that waits answers the row as it is then. It also limits what this transaction waits (2 s for a lock, this one
 * included, and 10 s for a statement), and keeps the plans of its prepared statements: left to itself, Postgres plans the walk and the
 * sale anew each time, a sixth of their whole cost.
 */
export async function lockForSale(
  tx: Queryable,
  leadId: string,
): Promise<{ niche: NicheLock; lead: LeadForSale } | undefined> {
  const { rows } = await tx.query<LeadForSale & { niche_name: string; niche_status: NicheLock['status'] }>(
    prepared(
      'lock_for_sale',
      sql`
        with niche as materialized (
          select n.id, n.name, n.status, own.lock_wait, own.statement_wait, own.plans
          from v_niche n,
               (select set_config('lock_timeout', '2s', true) as lock_wait,
                       set_config('statement_timeout', '10s', true) as statement_wait,
                       set_config('plan_cache_mode', 'force_generic_plan', true) as plans offset 0) own
          where n.id = (select niche_id from v_lead where id = ${leadId}::uuid)
          for no key update of n),
        lead_for_sale as materialized (${leadForSale(leadId, sql`and niche_id = (select id from niche)`)})
        select l.*, n.name as niche_name, n.status as niche_status from lead_for_sale l join niche n on n.id = l.niche_id`,
    ),
  );
  const [row] = rows;
  if (!row) return undefined;
  const { niche_name: name, niche_status: status, ...lead } = row;
  return { niche: { id: lead.niche_id, name, status }, lead };
}

/** What a sale starts from. */
export interface Offer {
  /** Active levels by `ord`. */
  levels: Level[];
  next_start_ord: number | null;
  assigned: number;
  cap: number | null;
}

export async function readOffer(
  tx: Queryable,
  { leadId, nicheId }: { leadId: string; nicheId: string },
): Promise<Offer> {
  const { rows } = await tx.query<Offer>(
    prepared(
      'read_offer',
      sql`
        select
          (select coalesce(jsonb_agg(jsonb_build_object(
                    'id', id, 'name', name, 'ord', ord, 'price_cents', price_cents, 'max_recipients', max_recipients,
                    'vclock', vclock) order by ord), '[]')
           from v_level where niche_id = ${nicheId}::uuid and status = 'active') as levels,
          (select next_start_ord from rotation where niche_id = ${nicheId}::uuid) as next_start_ord,
          (select count(*)::int from assignment where lead_id = ${leadId}::uuid) as assigned,
          (select min(slot_cap) from assignment where lead_id = ${leadId}::uuid) as cap`,
    ),
  );
  return rows[0] as Offer;
}

/** One sale as the statement that made it answers. */
export interface Sold {
  id: string;
  provider_id: string;
  subscription_id: string;
  slot: number;
  entry_id: string;
  account_version: number;
  balance_cents: number;
  low_balance_cents: number | null;
  crossed_low: boolean;
  /** The rest no longer pays another subscription of the provider. */
  short_of_money: boolean;
  email: string;
}

export interface SaleTerms {
  leadId: string;
  level: Level;
  /** Number of the first place sold now. */
  firstSlot: number;
  slotCap: number;
  runId: string;
}

/** Charges, assigns and moves the order, in one statement: a provider who cannot pay gets nothing at all. */
export async function sell(tx: Tx, choice: Choice, terms: SaleTerms): Promise<Sold[]> {
  const { leadId, level, firstSlot, slotCap, runId } = terms;
  const { served, unfunded, clock } = choice;
  const marks = {
    unfunded: unfunded.map((one) => one.subscriptionId),
    ref: runId,
    levelId: level.id,
    clock,
  };
  const { rows } = await tx.query<Sold>(
    prepared(
      'sell',
      sql`
        with w as (
          select * from unnest(${served.map((one) => one.subscriptionId)}::uuid[], ${served.map((one) => one.providerId)}::uuid[],
                               ${served.map((_one, at) => firstSlot + at)}::int[], ${served.map((one) => one.nextVt)}::bigint[],
                               ${served.map((one) => one.day)}::date[], ${served.map((one) => one.dayNumber)}::int[],
                               ${served.map((one) => one.dailyCap)}::int[]) as t(sub, provider, slot, vt, day, n, cap)),
        ${debitFragment(level.price_cents)},
        asg as (
          insert into assignment (lead_id, provider_id, subscription_id, level_id, price_cents, slot, slot_cap,
                                  cap_day, cap_n, cap_limit)
          select ${leadId}::uuid, w.provider, w.sub, ${level.id}::uuid, ${level.price_cents}::bigint, w.slot, ${slotCap}::int,
                 w.day, w.n, w.cap
          from deb join w on w.provider = deb.provider_id
          returning id, provider_id, subscription_id, slot),
        ${chargeEntriesFragment(level.price_cents)},
        ${saleMarks(marks)}
        select a.id, a.provider_id, a.subscription_id, a.slot, e.id as entry_id, d.version as account_version, d.balance_cents,
               d.low_balance_cents, d.crossed_low, c.email,
               exists (select from v_subscription s join v_level l on l.id = s.level_id
                       where s.provider_id = a.provider_id and s.status = 'active' and l.price_cents > d.balance_cents)
                 as short_of_money
        from asg a
        join deb d using (provider_id)
        join ent e on e.assignment_id = a.id
        join v_provider_contact c using (provider_id)`,
    ),
  );
  return rows.sort((one, other) => one.slot - other.slot);
}

export interface RunRow {
  id: string;
  leadId: string;
  saleNo: number;
  attempt: number;
  trigger: 'approved' | 'admin' | 'retry';
  startOrd: number | null;
  outcome: 'distributed' | 'unsold' | 'niche_paused';
  matched: number;
  assigned: number;
  skipped: Readonly<Record<string, number>>;
  steps: readonly object[];
  ms: number;
}

export function runInsert(run: RunRow) {
  return sql`
    insert into distribution_run (id, lead_id, sale_no, attempt, trigger, start_ord, outcome, matched, assigned, skipped, steps, ms,
                                  correlation_id)
    values (${run.id}, ${run.leadId}, ${run.saleNo}, ${run.attempt}, ${run.trigger}, ${run.startOrd}, ${run.outcome},
            ${run.matched}, ${run.assigned}, ${JSON.stringify(run.skipped)}::jsonb, ${JSON.stringify(run.steps)}::jsonb, ${run.ms},
            ${currentContext()?.correlationId ?? 'none'})`;
}

/** The next lead of the niche starts at `nextOrd`. Without one, the pointer stays. */
export function rotationAdvance(nicheId: string, nextOrd: number | null) {
  return sql`
    insert into rotation (niche_id, next_start_ord)
    select ${nicheId}::uuid, ${nextOrd}::int where ${nextOrd}::int is not null
    on conflict (niche_id) do update
    set next_start_ord = excluded.next_start_ord, version = rotation.version + 1, updated_at = clock_timestamp()`;
}
