import { type Database, type Queryable, sql } from '@fmhl/ops';
import type { FilterRule } from './contract.ts';
import type { MatchPreview } from './preview-contract.ts';

const days = 30;
/** Where it takes longer, something else is wrong. */
const usuallyWithinMs = 5_000;
/** SQLSTATE of a statement that its timeout ended. */
const cancelled = '57014';
/** Leads that are looked at: 20 rules on so many take a second. */
const lookedAtMost = 10_000;

interface PreviewRow {
  leads: number;
  matched: number;
  weeks: { week: string; leads: number; matched: number }[];
  areas: number;
  areas_alone: number;
  /** One number a rule, in the order of the rules. */
  by_rule: number[];
  by_rule_alone: number[];
}

export interface PreviewedTerms {
  readonly id: string;
  readonly filter_rules: readonly FilterRule[] | null;
}

/**
 * Judges the approved leads of the last 30 days by a subscription as it stands, by the same rule as the sale. Caps, funds and the fair order
 * are left aside: it says what is asked for, not what would have been sold. A look that takes longer than `withinMs` is not complete.
 */
export async function previewMatches(
  db: Database,
  terms: PreviewedTerms,
  { withinMs = usuallyWithinMs }: { withinMs?: number } = {},
): Promise<MatchPreview> {
  try {
    return await db.transaction((tx) => count(tx, terms), { readOnly: true, statementTimeoutMs: withinMs });
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code !== cancelled) throw error;
    return { complete: false, days, leads: 0, truncated: false, matched: 0, weeks: [], excluded_by: [] };
  }
}

async function count(db: Queryable, { id, filter_rules }: PreviewedTerms): Promise<MatchPreview> {
  const { rows } = await db.query<PreviewRow>(previewStatement(id));
  const { areas, areas_alone, by_rule, by_rule_alone, ...seen } = rows[0] as PreviewRow;
  const ofFilter = (filter_rules ?? []).map(({ field, op }, index) => ({
    rule: 'filter' as const,
    index,
    field,
    op,
    leads: by_rule[index] ?? 0,
    alone: by_rule_alone[index] ?? 0,
  }));
  const ofAreas = { rule: 'areas' as const, index: null, field: null, op: null, leads: areas, alone: areas_alone };
  return {
    complete: true,
    days,
    ...seen,
    leads: Math.min(seen.leads, lookedAtMost),
    truncated: seen.leads > lookedAtMost,
    excluded_by: [ofAreas, ...ofFilter].toSorted((one, other) => other.leads - one.leads),
  };
}

/** One lead more than is looked at is read, which tells that there are more. */
export function previewStatement(subscriptionId: string) {
  return sql`
    with terms as materialized (
      select s.areas, s.filter_rules as rules, coalesce(jsonb_array_length(s.filter_rules), 0) as many, l.niche_id
      from subscription s join level l on l.id = s.level_id where s.id = ${subscriptionId}::uuid),
    recent as materialized (
      select d.approved_at, d.form, d.area_codes || '*'::text as areas
      from v_lead_demand d
      where d.niche_id = (select niche_id from terms) and d.approved_at > now() - ${days}::int * interval '1 day'
        and not d.is_test and d.erased_at is null
      order by d.approved_at desc limit ${lookedAtMost + 1}::int),
    judged as materialized (
      select r.approved_at, r.areas && t.areas as inside,
             array(select n from generate_series(0, t.many - 1) n
                   where not subscription_matches(jsonb_build_array(t.rules -> n), r.form)) as refused
      from recent r, terms t),
    weeks as (
      select to_char(date_trunc('week', approved_at at time zone 'UTC'), 'YYYY-MM-DD') as week, count(*)::int as leads,
             count(*) filter (where inside and refused = '{}')::int as matched
      from judged group by 1 order by 1),
    ruled as (
      select n, count(*) filter (where n = any(j.refused))::int as leads,
             count(*) filter (where j.refused = array[n])::int as alone
      from terms t cross join generate_series(0, t.many - 1) n left join judged j on j.inside group by n)
    select (select count(*)::int from judged) as leads,
           (select count(*)::int from judged where inside and refused = '{}') as matched,
           (select coalesce(jsonb_agg(to_jsonb(w)), '[]') from weeks w) as weeks,
           (select count(*)::int from judged where not inside) as areas,
           (select count(*)::int from judged where not inside and refused = '{}') as areas_alone,
           array(select leads from ruled order by n) as by_rule,
           array(select alone from ruled order by n) as by_rule_alone`;
}
