import { type Database, type Queryable, sql } from '../postgres/index.ts';

/** Rows of differences folded in one statement. */
const batchSize = 5_000;

/**
 * Folds rows of differences into the sums by hour and by group, exactly once each: they are deleted in the statement that adds them.
 * Safe from several processes at once.
 */
export async function foldChanges(db: Database): Promise<{ more: boolean }> {
  const [{ rows }] = await Promise.all([db.query<{ folded: number }>(foldStatement), foldDeaths(db)]);
  return { more: (rows[0]?.folded ?? 0) >= batchSize };
}

const foldStatement = sql`
  with taken as (
    delete from ops.dead_letter_change
    where id in (select id from ops.dead_letter_change order by id limit ${batchSize} for update skip locked)
    returning *),
  hours as (
    insert into ops.dead_letter_hour as h (hour, source, queue_name, fingerprint, cause, worker_version,
                                           captured, deaths, resolved, discarded, retried_ok, closed_s)
    select date_trunc('hour', at, 'UTC'), source, queue_name, fingerprint, cause, worker_version,
           sum(captured), sum(deaths), sum(resolved), sum(discarded), sum(retried_ok), sum(closed_s)
    from taken group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
    on conflict (hour, source, queue_name, fingerprint, cause, worker_version) do update
    set captured = h.captured + excluded.captured, deaths = h.deaths + excluded.deaths, resolved = h.resolved + excluded.resolved,
        discarded = h.discarded + excluded.discarded, retried_ok = h.retried_ok + excluded.retried_ok,
        closed_s = h.closed_s + excluded.closed_s),
  stocks as (
    insert into ops.dead_letter_stock as s (source, queue_name, fingerprint, captured, deaths, open, resolved, discarded)
    select source, queue_name, fingerprint, sum(captured), sum(deaths), sum(open), sum(resolved), sum(discarded)
    from taken group by 1, 2, 3 order by 1, 2, 3
    on conflict (source, queue_name, fingerprint) do update
    set captured = s.captured + excluded.captured, deaths = s.deaths + excluded.deaths, open = s.open + excluded.open,
        resolved = s.resolved + excluded.resolved, discarded = s.discarded + excluded.discarded),
  groups as (
    update ops.dead_letter_group g
    set last_seen = greatest(g.last_seen, t.last_failed_at), last_version = coalesce(t.newest_version, g.last_version)
    from (select fingerprint, max(last_failed_at) as last_failed_at,
                 (array_agg(nullif(worker_version, '') order by last_failed_at desc nulls last))[1] as newest_version
          from taken where deaths > 0 group by fingerprint order by fingerprint) t
    where g.fingerprint = t.fingerprint)
  select count(*)::int as folded from taken`;

/** Deaths are added up per queue; the newest row of each queue holds the sum. */
async function foldDeaths(db: Database): Promise<void> {
  await db.query(sql`
    with taken as (
      delete from ops.job_death
      where id in (select id from ops.job_death order by id limit ${batchSize} for update skip locked)
        and (select count(*) from ops.job_death) > (select count(distinct queue) from ops.job_death) + 100
      returning queue, deaths, capture_errors)
    insert into ops.job_death (queue, deaths, capture_errors) select queue, sum(deaths), sum(capture_errors) from taken group by queue`);
}

/** Sums of one queue since its first capture. `open` holds snoozed and retrying letters too. */
export interface Stock {
  readonly source: 'queue' | 'stream';
  readonly queue: string;
  readonly captured: number;
  readonly open: number;
  readonly resolved: number;
  readonly discarded: number;
}

/** The sums, exact at this moment: those folded and those not yet. */
export async function readStock(db: Queryable): Promise<Stock[]> {
  const { rows } = await db.query<Stock>(sql`
    select source, queue_name as queue, sum(captured)::bigint as captured, sum(open)::bigint as open,
           sum(resolved)::bigint as resolved, sum(discarded)::bigint as discarded
    from (select source, queue_name, captured, open, resolved, discarded from ops.dead_letter_stock
          union all
          select source, queue_name, captured, open, resolved, discarded from ops.dead_letter_change) s
    group by source, queue_name`);
  return rows;
}
