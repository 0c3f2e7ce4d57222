import { join, raw, type Sql, sql } from '../postgres/index.ts';
import type { Scope } from './scope.ts';

/** Begin of the window and of the one before it, and the moment of the report. */
export interface Windows {
  readonly now: Date;
  readonly since: Date;
  readonly previous: Date;
}

/** Sums over one value of one dimension; `dimension` names which. */
export interface CellRow {
  /** False for the window before. */
  current: boolean;
  dimension: 'all' | 'hour' | 'queue' | 'fingerprint' | 'cause' | 'version';
  hour: Date | null;
  source: string | null;
  queue_name: string | null;
  fingerprint: string | null;
  cause: string | null;
  worker_version: string | null;
  captured: number;
  deaths: number;
  resolved: number;
  discarded: number;
  retried_ok: number;
}

export function windowsOf(hours: number): Sql {
  return sql`
    select now() as now, date_trunc('hour', now(), 'UTC') - ${hours - 1} * interval '1 hour' as since,
           date_trunc('hour', now(), 'UTC') - ${2 * hours - 1} * interval '1 hour' as previous`;
}

/** The sums by hour, those of changes that are not folded yet among them. */
export function cellsOfSums(scope: Scope, { previous }: Windows): Sql {
  const columns =
    raw(`source, queue_name, fingerprint, cause, worker_version, captured::int, deaths::int, resolved::int,
    discarded::int, retried_ok::int`);
  const condition = conditionOf(scope);
  return sql`
    select hour, ${columns} from ops.dead_letter_hour where hour >= ${previous} and ${condition}
    union all
    select date_trunc('hour', at, 'UTC'), ${columns} from ops.dead_letter_change where at >= ${previous} and ${condition}`;
}

/**
 * The same cells from the letters that `matching` (a condition on `d`) holds for. A letter tells of its last death only, so that deaths
 * of earlier retries are not among them.
 */
export function cellsOfLetters(matching: Sql, { previous }: Windows): Sql {
  return sql`
    select date_trunc('hour', e.at, 'UTC') as hour, d.source, d.queue_name, d.fingerprint, d.cause,
           coalesce(d.worker_version, '') as worker_version, e.captured, e.deaths,
           (e.closed and d.state = 'resolved')::int as resolved, (e.closed and d.state = 'discarded')::int as discarded,
           (e.closed and d.resolution ->> 'how' = 'retried')::int as retried_ok
    from ops.dead_letter_queue d
    cross join lateral (values (d.created_at, 1, 0, false), (d.failed_at, 0, 1, false), (d.resolved_at, 0, 0, true))
      as e(at, captured, deaths, closed)
    where not d.synthetic and e.at >= ${previous} and (d.failed_at >= ${lateCapture(previous)} or d.resolved_at >= ${previous})
      and ${matching}`;
}

/** The capture of a death may come later than the death; by more than a day it is not counted as captured in the window. */
function lateCapture(begin: Date): Date {
  return new Date(begin.getTime() - 86_400_000);
}

/**
 * Two passes over the cells: by hour, which gives the totals of both windows; and by all else, which is then added up by each dimension.
 * (Grouping the cells themselves by five dimensions took five times as long.)
 */
export function report(cells: Sql, { since }: Windows): Sql {
  return sql`
    with hours as (
      select hour, hour >= ${since} as current, ${sums} from (${cells}) cells group by hour),
    parts as (
      select source, queue_name, fingerprint, cause, worker_version, ${sums}
      from (${cells}) cells where hour >= ${since} group by 1, 2, 3, 4, 5)
    select current, case when grouping(hour) = 1 then 'all' else 'hour' end as dimension, hour,
           null as source, null as queue_name, null as fingerprint, null as cause, null as worker_version, ${sums}
    from hours group by grouping sets ((current), (current, hour))
    union all
    select true, case grouping(queue_name, fingerprint, cause, worker_version)
                   when 7 then 'queue' when 11 then 'fingerprint' when 13 then 'cause' else 'version' end,
           null, source, queue_name, fingerprint, cause, worker_version, ${sums}
    from parts group by grouping sets ((source, queue_name), (fingerprint), (cause), (worker_version))`;
}

const sums = sql`
  sum(captured)::int as captured, sum(deaths)::int as deaths, sum(resolved)::int as resolved, sum(discarded)::int as discarded,
  sum(retried_ok)::int as retried_ok`;

/** How many are open, and since when the one that waits longest. Of the big table it touches one row for each queue or group. */
export function openOfSums(scope: Scope): Sql {
  const by = raw(scope.some(({ column }) => column === 'fingerprint') ? 'fingerprint' : 'queue_name');
  return sql`
    with open as (
      select ${by} as name, sum(open) as open
      from (select ${by}, open from ops.dead_letter_stock where ${conditionOf(scope)}
            union all select ${by}, open from ops.dead_letter_change where ${conditionOf(scope)}) sums
      group by 1 having sum(open) > 0)
    select coalesce(sum(open), 0)::int as open,
           min((select d.failed_at from ops.dead_letter_queue d
                where d.${by} = open.name and not d.resolved and ${conditionOf(scope, 'd.')} order by d.failed_at limit 1)) as oldest
    from open`;
}

export function openOfLetters(matching: Sql): Sql {
  return sql`
    select count(*)::int as open, min(failed_at) as oldest
    from ops.dead_letter_queue d where not d.resolved and not d.synthetic and ${matching}`;
}

/** Letters closed last, for the median. */
const newestClosed = 5_000;

export function medianTimeToClose(matching: Sql, { since }: Windows): Sql {
  return sql`
    select percentile_cont(0.5) within group (order by extract(epoch from resolved_at - created_at)::float8) as median_s
    from (select d.* from ops.dead_letter_queue d where d.resolved_at >= ${since} order by d.resolved_at desc limit ${newestClosed}) d
    where not d.synthetic and ${matching}`;
}

export function titlesOf(fingerprints: readonly string[]): Sql {
  return sql`
    select fingerprint, title, first_seen from ops.dead_letter_group where fingerprint = any (${[...fingerprints]}::text[])`;
}

function conditionOf(scope: Scope, prefix = ''): Sql {
  if (scope.length === 0) return sql`true`;
  const conditions = scope.map(({ column, values, negated }) => {
    const found = sql`${raw(prefix + column)} = any (${[...values]}::text[])`;
    return negated ? sql`not (${found})` : found;
  });
  return join(conditions, ' and ');
}
