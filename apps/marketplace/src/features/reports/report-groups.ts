import { raw, type Sql, sql } from '@fmhl/ops';
import type { Clock } from './report-contract.ts';
import type { Range } from './report-range.ts';

export interface Asked extends Range {
  readonly clock: Clock;
  readonly by: string;
  /** One more than is shown, to know whether there are more. */
  readonly limit: number;
}

/** What a query calls the things that rows are grouped by. */
export interface Sources {
  /** The moment that decides. */
  readonly at: Sql;
  readonly niche?: Sql;
  readonly level?: Sql;
  readonly provider?: Sql;
  readonly source?: Sql;
  readonly reason?: Sql;
}

/** What stands in place of a source that a lead does not name. */
export const noSource = '(none)';

const days = { day: 'YYYY-MM-DD', week: 'IYYY-"W"IW', month: 'YYYY-MM' } as const;

/** The key of the group that a row belongs to, as text. Days, weeks and months are those of UTC. */
export function keyOf(by: string, { at, niche, level, provider, source, reason }: Sources): Sql {
  if (by in days) return sql`to_char(${at} at time zone 'UTC', ${raw(`'${days[by as keyof typeof days]}'`)})`;
  const columns: Record<string, Sql | undefined> = { niche, level, provider, source, reason };
  const column = columns[by];
  if (by === 'source' && column) return sql`coalesce(${column}, ${raw(`'${noSource}'`)})`;
  return column ? sql`${column}::text` : sql`'total'`;
}

/** The name of a group as people read it, of a row `g` with its `key`. */
export function labelOf(by: string): Sql {
  if (by === 'niche') return sql`(select n.name from v_niche n where n.id = g.key::uuid)`;
  if (by === 'provider') return sql`(select p.company from v_provider p where p.id = g.key::uuid)`;
  if (by === 'level')
    return sql`(select n.name || ', ' || v.name from v_level v join v_niche n on n.id = v.niche_id where v.id = g.key::uuid)`;
  return sql`g.key`;
}

/** Times in their order, other groups with the largest first. */
export function orderOf(by: string, largest: Sql): Sql {
  return by in days ? sql`g.key` : sql`${largest} desc, g.key`;
}

export function within(at: Sql, { from, to }: Range): Sql {
  return sql`${at} >= ${from}::timestamptz and ${at} < ${to}::timestamptz`;
}

/** A share of 0 to 1 with four digits; null where there is nothing to divide by. */
export function share(part: Sql, whole: Sql): Sql {
  return sql`round((${part})::numeric / nullif(${whole}, 0), 4)::float8`;
}

/**
 * The leads of a range without test leads: those stored in it, or those first sold in it, which are the ones whose first place was. They have
 * `at`, the moment that decided.
 */
export function cohort(asked: Pick<Asked, 'clock' | 'from' | 'to'>): Sql {
  const columns = sql`l.id, l.niche_id, l.status, l.source, l.confirmed_at, l.approved_at, l.assigned_count, l.duplicate_of, l.bad_at`;
  return asked.clock === 'created'
    ? sql`select ${columns}, l.created_at as at from v_lead l where not l.is_test and ${within(sql`l.created_at`, asked)}`
    : sql`select ${columns}, a.assigned_at as at from v_assignment a join v_lead l on l.id = a.lead_id
          where a.slot = 1 and ${within(sql`a.assigned_at`, asked)}`;
}

/** The sales of a range, each with the moment that decided: of the sale itself, or of its lead's submission. */
export function salesIn(asked: Pick<Asked, 'clock' | 'from' | 'to'>): Sql {
  const at = asked.clock === 'created' ? sql`l.created_at` : sql`a.assigned_at`;
  return sql`
    select a.id, a.lead_id, a.provider_id, a.level_id, a.price_cents, a.assigned_at, a.refunded_at, l.niche_id, l.source, ${at} as at
    from v_assignment a join v_lead l on l.id = a.lead_id
    where ${within(at, asked)}`;
}
