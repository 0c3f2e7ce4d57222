import type { Cursor } from '../dead-letter-search/index.ts';
import { empty, join, raw, type Sql, sql } from '../postgres/index.ts';
import type { GroupSort } from './contract.ts';
import type { Recent, Scope } from './scope.ts';

export interface PageRequest {
  readonly sort: GroupSort;
  readonly limit: number;
  /** Begins beside the row at its position: [value of the sort column, fingerprint]. */
  readonly cursor?: Pick<Cursor, 'position' | 'towards'> | undefined;
  /** One group, also when nothing of it is counted. */
  readonly fingerprint?: string | undefined;
}

export interface GroupRow {
  fingerprint: string;
  title: string;
  error_type: string;
  message: string;
  frame: string | null;
  classifier: number;
  sample_id: string | null;
  first_seen: Date;
  last_seen: Date;
  first_version: string | null;
  last_version: string | null;
  fixed_in: string | null;
  fixed_by: string | null;
  fixed_at: Date | null;
  regressed_at: Date | null;
  assignee: string | null;
  ticket: string | null;
  snoozed_until: Date | null;
  snoozed_deaths: number | null;
  last_canary: unknown;
  notes_count: number;
  version: number;
  count: number;
  open: number;
  deaths: number;
  queues: string[];
  causes: string[];
  hourly: number[];
  /** Where the row stands in its list. */
  position: string;
  now: Date;
}

/** Changes of letters not yet folded into the tables of sums, and when the 24 hours began. */
const preamble = sql`
  clock as materialized (
    select now() as now, date_trunc('hour', now(), 'UTC') - interval '23 hours' as since),
  unfolded as materialized (
    select source, queue_name, fingerprint, cause, worker_version, date_trunc('hour', at, 'UTC') as hour, sum(captured) as captured,
           sum(deaths) as deaths, sum(open) as open, sum(resolved) as resolved, sum(discarded) as discarded,
           max(last_failed_at) as last_failed_at
    from ops.dead_letter_change group by 1, 2, 3, 4, 5, 6)`;

/** Groups by the tables of sums alone: what it costs follows the number of groups, not of letters. */
export function groupsBySums(scope: Scope, page: PageRequest): Sql {
  const part = within(scope);
  const count = raw(scope.states.join(' + ') || '0');
  const counted = sql`
    select fingerprint, sum(n) as count, max(last) as last
    from (select fingerprint, ${count} as n, null::timestamptz as last from ops.dead_letter_stock where ${part}
          union all select fingerprint, ${count}, last_failed_at from unfolded where ${part}) sums
    ${page.fingerprint === undefined ? empty : sql`where fingerprint = ${page.fingerprint}`}
    group by fingerprint`;
  return groupsCounted(counted, part, page);
}

/**
 * Groups of letters that died lately, counted in the index of fingerprints alone; all else by the tables of sums. In the order of their
 * newest deaths only the groups of the page are counted, one after another until it is full.
 */
export function groupsByRecent({ since, op, resolved }: Recent, page: PageRequest): Sql {
  const after = sql`${raw(op)} ${since}::timestamptz`;
  const halves = resolved.map(
    (half) => sql`
      (select count(*) from ops.dead_letter_queue d
       where d.fingerprint = o.fingerprint and d.resolved = ${raw(String(half))} and d.failed_at ${after})`,
  );
  const { condition, order } = placeOf(page);
  const isInOrder = page.sort === '-last_seen';
  const counted = sql`
    select o.fingerprint, c.count, o.last
    from (
      select * from (
        select g.fingerprint, u.last, greatest(g.last_seen, u.last) as key
        from ops.dead_letter_group g
        left join (select fingerprint, max(last_failed_at) as last from unfolded group by fingerprint) u using (fingerprint)) seen
      where key ${after} ${isInOrder ? condition : empty} order by ${order}) o
    cross join lateral (select ${halves.length === 0 ? sql`0` : join(halves, ' + ')} as count offset 0) c
    where c.count > 0
    ${isInOrder ? sql`order by ${order} limit ${page.limit + 1}` : empty}`;
  return groupsCounted(counted, sql`true`, page);
}

function groupsCounted(counted: Sql, part: Sql, page: PageRequest): Sql {
  return sql`
    with ${preamble},
    counted as (${counted}),
    growth as (
      select fingerprint, ${growthOfHours} as growth
      from (select fingerprint, hour, deaths from ops.dead_letter_hour where hour >= (select since from clock) and ${part}
            union all select fingerprint, hour, deaths from unfolded where hour >= (select since from clock) and ${part}) deaths
      ${page.sort === '-growth' ? empty : sql`where false`}
      group by fingerprint),
    ${pageOf(page)}
    select p.*, ${wholeGroup},
      array(select queue_name from (
              select queue_name, captured from ops.dead_letter_stock where fingerprint = p.fingerprint and ${part}
              union all select queue_name, captured from unfolded where fingerprint = p.fingerprint and ${part}) queues
            group by queue_name having sum(captured) > 0 order by queue_name) as queues,
      array(select cause from (
              (select cause from ops.dead_letter_hour where fingerprint = p.fingerprint and ${part} order by hour desc limit ${newestCells})
              union all select cause from unfolded where fingerprint = p.fingerprint and ${part}) causes
            group by cause order by cause) as causes,
      array(select coalesce(sum(h.deaths), 0)::int
            from generate_series(0, 23) as back(hours)
            left join (
              select hour, deaths from ops.dead_letter_hour where fingerprint = p.fingerprint and hour >= (select since from clock) and ${part}
              union all select hour, deaths from unfolded where fingerprint = p.fingerprint and ${part}) h
              on h.hour = (select since from clock) + hours * interval '1 hour'
            group by hours order by hours) as hourly
    from page p order by p.ord`;
}

/** Cells of `dead_letter_hour` that are asked for the causes of a group: those of its last days. */
const newestCells = 20;

/** Groups of the letters that `matching` (a condition on `d`) holds for. Its cost follows the number of those letters. */
export function groupsByLetters(matching: Sql, page: PageRequest): Sql {
  return sql`
    with ${preamble},
    cells as materialized (
      select d.fingerprint, d.queue_name, d.cause,
             case when d.failed_at >= (select since from clock) then date_trunc('hour', d.failed_at, 'UTC') end as hour,
             count(*) as n, max(d.failed_at) as last_failed_at
      from ops.dead_letter_queue d where not d.synthetic and ${matching}
      group by 1, 2, 3, 4),
    counted as (select fingerprint, sum(n) as count, max(last_failed_at) as last from cells group by fingerprint),
    growth as (
      select fingerprint, ${growthOfHours} as growth
      from (select fingerprint, hour, n as deaths from cells where hour is not null) deaths group by fingerprint),
    ${pageOf(page)}
    select p.*, ${wholeGroup},
      array(select distinct queue_name from cells where fingerprint = p.fingerprint order by queue_name) as queues,
      array(select distinct cause from cells where fingerprint = p.fingerprint order by cause) as causes,
      array(select coalesce(sum(c.n), 0)::int
            from generate_series(0, 23) as back(hours)
            left join cells c on c.fingerprint = p.fingerprint and c.hour = (select since from clock) + hours * interval '1 hour'
            group by hours order by hours) as hourly
    from page p order by p.ord`;
}

/** The rule `growthOf`, over rows of (hour, deaths). */
const growthOfHours = sql`
  sum(case when hour > (select since from clock) + interval '20 hours' then 7 * deaths else -deaths end)`;

const sortColumns: Record<GroupSort, Sql> = {
  '-last_seen': sql`greatest(g.last_seen, c.last)`,
  '-count': sql`c.count`,
  '-growth': sql`coalesce(h.growth, 0)`,
};

const sortTypes: Record<GroupSort, Sql> = {
  '-last_seen': raw('timestamptz'),
  '-count': raw('numeric'),
  '-growth': raw('numeric'),
};

/** Where a page begins, and the order of its rows, over columns `key` and `fingerprint`. */
function placeOf({ sort, cursor }: PageRequest): { condition: Sql; order: Sql } {
  const backwards = cursor?.towards === 'prev';
  const condition = cursor
    ? sql`and (key, fingerprint) ${raw(backwards ? '>' : '<')} (${cursor.position[0]}::${sortTypes[sort]}, ${cursor.position[1]})`
    : empty;
  return { condition, order: raw(backwards ? 'key, fingerprint' : 'key desc, fingerprint desc') };
}

/** One row more than asked for: it tells whether another page follows. */
function pageOf(page: PageRequest): Sql {
  const { sort, limit, fingerprint } = page;
  const { condition, order } = placeOf(page);
  return sql`
    page as materialized (
      select *, key::text as position, row_number() over (order by ${order}) as ord, (select now from clock) as now
      from (
        select g.fingerprint, g.title, g.error_type, g.message, g.frame, g.classifier, g.sample_id, g.first_seen,
               greatest(g.last_seen, c.last) as last_seen, g.first_version, g.last_version, g.fixed_in, g.fixed_by, g.fixed_at,
               g.regressed_at, g.assignee, g.ticket, g.snoozed_until, g.snoozed_deaths, g.last_canary, g.notes_count, g.version,
               coalesce(c.count, 0) as count, ${sortColumns[sort]} as key
        from ops.dead_letter_group g
        ${fingerprint === undefined ? sql`join counted c using (fingerprint)` : sql`left join counted c using (fingerprint)`}
        left join growth h using (fingerprint)
        where ${fingerprint === undefined ? sql`c.count > 0` : sql`g.fingerprint = ${fingerprint}`}) groups
      where true ${condition}
      order by ${order} limit ${limit + 1})`;
}

/** Sums of a whole group, whatever part of it a list shows. */
const wholeGroup = sql`
  (select coalesce(sum(open), 0) from (
     select open from ops.dead_letter_stock where fingerprint = p.fingerprint
     union all select open from unfolded where fingerprint = p.fingerprint) sums) as open,
  (select coalesce(sum(deaths), 0) from (
     select deaths from ops.dead_letter_stock where fingerprint = p.fingerprint
     union all select deaths from unfolded where fingerprint = p.fingerprint) sums) as deaths`;

function within({ names }: Scope): Sql {
  if (names.length === 0) return sql`true`;
  return join(
    names.map(({ column, values, negated }) => {
      const found = sql`${raw(column)} = any (${[...values]}::text[])`;
      return negated ? sql`not (${found})` : found;
    }),
    ' and ',
  );
}
