import { type Database, type Queryable, sql } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import { slotsAt } from './cascade.ts';
import { type Explanation, type Reason, reasons } from './explain-contract.ts';
import { readOffer } from './queries.ts';
import { demandOf, type Demand, hasPlaceToday } from './walk.ts';

const nearestShown = 20;

/**
 * Why a lead is, or is not, bought now: the subscriptions of its niche by what stands against them, judged as the sale judges. Nothing is
 * locked: it is what one moment looks like. A look that takes longer than `withinMs` is not complete. Refuses `not_found`.
 */
export async function explainLead(
  db: Database,
  leadId: string,
  { withinMs = 2_000 }: { withinMs?: number } = {},
): Promise<Explanation> {
  const lead = await readLead(db, leadId);
  const demand = demandOf({ id: leadId, area_codes: lead.area_codes, form: lead.form });
  const head = { lead_id: leadId, status: lead.status, held_by: heldBy(lead) };
  try {
    const found = await db.transaction((tx) => judge(tx, demand, lead.niche_id), {
      readOnly: true,
      isolation: 'repeatable read',
      statementTimeoutMs: withinMs,
    });
    return { ...head, ...found, complete: true };
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== '57014') throw error;
    return { ...head, complete: false, levels: [], nearest: [] };
  }
}

interface LeadRow {
  niche_id: string;
  niche_status: 'active' | 'paused';
  status: string;
  area_codes: string[];
  form: unknown;
  is_test: boolean;
  erased_at: Date | null;
}

async function readLead(db: Queryable, leadId: string): Promise<LeadRow> {
  const { rows } = await db.query<LeadRow>(sql`
    select d.niche_id, n.status as niche_status, d.status, d.area_codes, d.form, d.is_test, d.erased_at
    from v_lead_demand d join v_niche n on n.id = d.niche_id where d.lead_id = ${leadId}`);
  const [lead] = rows;
  if (!lead) throw refuse('not_found');
  return lead;
}

function heldBy({ erased_at, is_test, status, niche_status }: LeadRow): Explanation['held_by'] {
  if (erased_at) return 'erased';
  if (is_test) return 'test';
  if (status !== 'approved' && status !== 'unsold') return 'status';
  return niche_status === 'paused' ? 'niche_paused' : null;
}

type Counts = Partial<Record<Reason, number>>;

interface JudgedRow {
  levels: Record<string, { subscriptions: number; eligible: number; by_reason: Counts; near_misses: Counts }>;
  nearest: Explanation['nearest'];
}

async function judge(tx: Queryable, demand: Demand, nicheId: string): Promise<Pick<Explanation, 'levels' | 'nearest'>> {
  const { levels, assigned, cap } = await readOffer(tx, { leadId: demand.leadId, nicheId });
  const { rows } = await tx.query<JudgedRow>(judgeStatement(demand, nicheId));
  const judged = rows[0] as JudgedRow;
  return {
    levels: levels.map((level) => {
      const { subscriptions = 0, eligible = 0, by_reason = {}, near_misses = {} } = judged.levels[level.id] ?? {};
      return {
        level_id: level.id,
        name: level.name,
        ord: level.ord,
        price_cents: level.price_cents,
        slots: Math.max(0, slotsAt(level, { assigned, cap })),
        subscriptions,
        eligible,
        by_reason: whole(by_reason),
        near_misses: whole(near_misses),
      };
    }),
    nearest: judged.nearest,
  };
}

const whole = (counts: Counts) =>
  Object.fromEntries(reasons.map((reason) => [reason, counts[reason] ?? 0])) as Record<Reason, number>;

/** The filter, which costs most, is asked only where at most one thing stands against a subscription. */
export function judgeStatement({ leadId, areas, form }: Demand, nicheId: string) {
  return sql`
    with judged as materialized (
      select s.id, s.provider_id, s.level_id, s.vt, l.ord,
             case when cardinality(w.against) > 1 or subscription_matches(s.filter_rules, ${JSON.stringify(form ?? {})}::jsonb)
                  then w.against else w.against || 'filter'::text end as reasons
      from v_level l
      join v_subscription s on s.level_id = l.id
      join v_provider p on p.id = s.provider_id
      left join v_account a on a.provider_id = s.provider_id
      left join v_assignment x on x.lead_id = ${leadId}::uuid and x.provider_id = s.provider_id
      cross join lateral (
        select array_remove(array[
          case when p.status <> 'active' then 'provider' end,
          case when p.status = 'active' and s.status in ('paused_user', 'paused_admin') then 'paused' end,
          case when x.provider_id is not null then 'bought' end,
          case when not s.areas && ${areas}::text[] then 'area' end,
          case when not ${hasPlaceToday} then 'cap' end,
          case when s.status = 'paused_funds' or coalesce(a.balance_cents, 0) < l.price_cents then 'funds' end], null) as against
        offset 0) w
      where l.niche_id = ${nicheId}::uuid and l.status = 'active' and s.status <> 'cancelled'),
    counted as (
      select level_id, reasons[1] as reason, count(*) as many, count(*) filter (where cardinality(reasons) = 1) as near
      from judged group by level_id, reasons[1]),
    levels as (
      select level_id, jsonb_build_object(
               'subscriptions', sum(many), 'eligible', coalesce(sum(many) filter (where reason is null), 0),
               'by_reason', coalesce(jsonb_object_agg(reason, many) filter (where reason is not null), '{}'),
               'near_misses', coalesce(jsonb_object_agg(reason, near) filter (where reason is not null), '{}')) as told
      from counted group by level_id),
    nearest as (
      select j.id as subscription_id, j.provider_id, p.company, j.level_id, j.reasons[1] as reason
      from (select * from judged where cardinality(reasons) = 1 order by ord, vt, id limit ${nearestShown}::int) j
      join v_provider p on p.id = j.provider_id
      order by j.ord, j.vt, j.id)
    select (select coalesce(jsonb_object_agg(level_id, told), '{}') from levels) as levels,
           (select coalesce(jsonb_agg(to_jsonb(n)), '[]') from nearest n) as nearest`;
}
