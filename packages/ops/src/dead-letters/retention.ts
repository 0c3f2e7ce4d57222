import { type Database, sql } from '../postgres/index.ts';

/** How long closed letters stay, and what is kept about letters: in days. */
export const letterRetention = { closedDays: 30, hourDays: 90, redriveDays: 90, groupDays: 90 } as const;

/** Letters removed in one statement. */
const batchSize = 5_000;

export interface Retained {
  /** Letters removed, by queue. */
  readonly removed: Readonly<Record<string, number>>;
  /** Whether more wait for the next batch. */
  readonly more: boolean;
}

/**
 * Removes one batch of letters that were closed 30 days ago or earlier, with their payloads, notes and runs. Open letters stay for ever.
 * Each batch is a transaction of its own, and skips rows that somebody holds: no lock lasts longer than a batch.
 */
export async function retainBatch(db: Database): Promise<Retained> {
  const { rows } = await db.query<{ queue: string; letters: number }>(sql`
    with old as materialized (
      select id from ops.dead_letter_queue
      where resolved_at < clock_timestamp() - ${letterRetention.closedDays} * interval '1 day'
      order by resolved_at limit ${batchSize} for update skip locked),
    letters as (
      delete from ops.dead_letter_queue l using old where l.id = old.id returning l.id, l.queue_name, l.root_key, l.generation),
    payloads as (delete from ops.dead_letter_payload p using old where p.letter_id = old.id),
    notes as (delete from ops.dead_letter_note n using old where n.letter_id = old.id),
    first_runs as (
      delete from ops.job_run r using letters l where r.run_key = l.root_key and r.state <> 'enqueued' and r.dlq_id is null),
    retries as (
      delete from ops.job_run where state <> 'enqueued' and run_key = any (array (
        select 'dlq-' || id || '-r' || g from letters, generate_series(1, generation) g)))
    select queue_name as queue, count(*)::int as letters from letters group by queue_name`);
  const removed = Object.fromEntries(rows.map(({ queue, letters }) => [queue, letters]));
  const sum = rows.reduce((total, { letters }) => total + letters, 0);
  return { removed, more: sum >= batchSize };
}

/**
 * Removes all that is due, letters in batches. Answers what a schedule keeps of it: `deleted`, of which `deleted.<queue>`; `held`, closed
 * as long ago and kept; `open_over_30_days`.
 */
export async function retainLetters(db: Database, signal: AbortSignal): Promise<Record<string, number>> {
  const byQueue: Record<string, number> = {};
  for (let more = true; more && !signal.aborted; ) {
    const batch = await retainBatch(db);
    for (const [queue, letters] of Object.entries(batch.removed)) byQueue[queue] = (byQueue[queue] ?? 0) + letters;
    more = batch.more;
  }
  await retainBooks(db);
  const deleted = Object.values(byQueue).reduce((sum, letters) => sum + letters, 0);
  const named = Object.entries(byQueue).map(([queue, letters]) => [`${deletedOf}${queue}`, letters] as const);
  return { deleted, ...(await countOld(db)), ...Object.fromEntries(named) };
}

/** Before the name of a queue, in the counts of a run. */
const deletedOf = 'deleted.';

/** Letters removed by queue, from the counts of a run. */
export function removedByQueue(counts: Readonly<Record<string, unknown>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counts).flatMap(([name, count]) =>
      name.startsWith(deletedOf) ? [[name.slice(deletedOf.length), Number(count)]] : [],
    ),
  );
}

async function countOld(db: Database): Promise<{ held: number; open_over_30_days: number }> {
  const before = sql`clock_timestamp() - ${letterRetention.closedDays} * interval '1 day'`;
  const { rows } = await db.query<{ held: number; open_over_30_days: number }>(sql`
    select (select count(*) from ops.dead_letter_queue where resolved_at < ${before}) as held,
           (select count(*) from ops.dead_letter_queue where not resolved and failed_at < ${before}) as open_over_30_days`);
  return rows[0] ?? { held: 0, open_over_30_days: 0 };
}

/**
 * What is kept about letters, after their time: sums by hour, redrives with their items, and groups without a letter. The sums of such a
 * group go on under no fingerprint, so that those of its queue stay true.
 */
async function retainBooks(db: Database): Promise<void> {
  const { hourDays, redriveDays, groupDays } = letterRetention;
  await db.query(sql`delete from ops.dead_letter_hour where hour < clock_timestamp() - ${hourDays} * interval '1 day'`);
  await retainRedrives(db, redriveDays);
  await db.query(sql`
    with gone as (
      delete from ops.dead_letter_group g
      where last_seen < clock_timestamp() - ${groupDays} * interval '1 day'
        and not exists (select from ops.dead_letter_queue l where l.fingerprint = g.fingerprint)
        and not exists (select from ops.dead_letter_change c where c.fingerprint = g.fingerprint)
      returning fingerprint),
    notes as (delete from ops.dead_letter_note n using gone where n.fingerprint = gone.fingerprint),
    moved as (
      delete from ops.dead_letter_stock s using gone where s.fingerprint = gone.fingerprint returning s.*)
    insert into ops.dead_letter_stock as s (source, queue_name, fingerprint, captured, deaths, open, resolved, discarded)
    select source, queue_name, '', sum(captured), sum(deaths), sum(open), sum(resolved), sum(discarded) from moved group by 1, 2
    on conflict (source, queue_name, fingerprint) do update
    set captured = s.captured + excluded.captured, deaths = s.deaths + excluded.deaths, open = s.open + excluded.open,
        resolved = s.resolved + excluded.resolved, discarded = s.discarded + excluded.discarded`);
}

/** Items go first, in batches: a redrive may hold a million. */
async function retainRedrives(db: Database, days: number): Promise<void> {
  const old = sql`
    select id from ops.redrive
    where ended_at < clock_timestamp() - ${days} * interval '1 day'
       or (state = 'expired' and created_at < clock_timestamp() - ${days} * interval '1 day')`;
  for (let items = batchSize; items === batchSize; ) {
    const { rowCount } = await db.query(sql`
      delete from ops.redrive_item where (redrive_id, ord) in (
        select redrive_id, ord from ops.redrive_item where redrive_id in (${old}) limit ${batchSize})`);
    items = rowCount;
  }
  await db.query(sql`delete from ops.redrive where id in (${old})`);
}
