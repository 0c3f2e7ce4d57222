import { prepared, type Queryable, sql, type Tx } from '../postgres/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
import { verdictWindow } from './stop-rule.ts';

/** An item that has not been sent. */
export interface PlannedItem {
  readonly ord: number;
  readonly letter_id: string;
  readonly letter_version: number;
}

/*
 * Items are named by their places, `ord = any (…)`, and not joined: while thousands of them change their outcome a second, what Postgres
 * believes of the table is old, and a join planned on it may read all items for each batch.
 */

/** The next items in the order of the plan, behind `after`. The redrive is locked, so nobody else takes them. */
export async function nextItems(tx: Tx, redriveId: string, after: number, limit: number): Promise<PlannedItem[]> {
  const { rows } = await tx.query<PlannedItem>(
    prepared(
      'redrive_next',
      sql`
        select ord, letter_id, letter_version from ops.redrive_item
        where redrive_id = ${redriveId} and outcome = 'planned' and ord > ${after} order by ord limit ${limit}`,
    ),
  );
  return rows;
}

/** What a redrive looks at before it sends more. */
export interface RunFacts {
  /** Sent and undecided, counted up to `window`. */
  readonly backlog: number;
  /** The last verdicts, newest first. */
  readonly verdicts: readonly { outcome: 'succeeded' | 'failed'; at: string }[];
  /** Met, and not known to the plan. */
  readonly newFingerprints: readonly string[];
}

export async function readRunFacts(
  tx: Tx,
  { redriveId, window, since }: { redriveId: string; window: number; since: Date | null },
): Promise<RunFacts> {
  const { rows } = await tx.query<{ backlog: number; verdicts: RunFacts['verdicts']; fingerprints: string[] }>(
    prepared(
      'redrive_facts',
      sql`
        with recursive met as (
          (select new_fingerprint as f from ops.redrive_item
           where redrive_id = ${redriveId} and new_fingerprint is not null order by new_fingerprint limit 1)
          union all
          select (select i.new_fingerprint from ops.redrive_item i
                  where i.redrive_id = ${redriveId} and i.new_fingerprint is not null and i.new_fingerprint > met.f
                  order by i.new_fingerprint limit 1)
          from met where met.f is not null)
        select
          (select count(*)::int from (
             select from ops.redrive_item where redrive_id = ${redriveId} and outcome = 'enqueued' limit ${window}) b) as backlog,
          (select coalesce(jsonb_agg(jsonb_build_object('outcome', outcome, 'at', decided_at) order by decided_at desc), '[]') from (
             select outcome, decided_at from ops.redrive_item
             where redrive_id = ${redriveId} and outcome in ('succeeded', 'failed')
               and decided_at >= coalesce(${since}::timestamptz, '-infinity')
             order by decided_at desc limit ${verdictWindow}) v) as verdicts,
          (select coalesce(array_agg(f), '{}') from (
             select f from met, ops.redrive r
             where r.id = ${redriveId} and f is not null and f <> all (r.fingerprints) limit 100) n) as fingerprints`,
    ),
  );
  const { backlog = 0, verdicts = [], fingerprints = [] } = rows[0] ?? {};
  return { backlog, verdicts, newFingerprints: fingerprints };
}

/** Shows on the redrive which errors are new; a stop or an override reads them there. */
export async function noteFingerprints(tx: Tx, redriveId: string, fingerprints: readonly string[]): Promise<void> {
  await tx.query(sql`
    update ops.redrive
    set new_fingerprints = (select array_agg(distinct f) from unnest(new_fingerprints || ${fingerprints}::text[]) as f)
    where id = ${redriveId} and not new_fingerprints @> ${fingerprints}::text[]`);
}

export interface SentItem {
  readonly ord: number;
  readonly generation: number;
}

/** One statement for each generation: mostly there is one, and a list to look each item's up in costs the square of its length. */
export async function markSent(
  tx: Tx,
  redriveId: string,
  items: readonly SentItem[],
  isCanary: boolean,
): Promise<void> {
  for (const [generation, sent] of Map.groupBy(items, (item) => item.generation)) {
    await tx.query(
      prepared(
        'redrive_sent',
        sql`
          update ops.redrive_item
          set outcome = 'enqueued', enqueued_at = clock_timestamp(), is_canary = ${isCanary}, generation = ${generation}
          where redrive_id = ${redriveId} and ord = any (${sent.map(({ ord }) => ord)}::bigint[])`,
      ),
    );
  }
}

/** Items whose work was the change itself: to resolve, discard or restore. */
export async function markClosed(tx: Tx, redriveId: string, ords: readonly number[]): Promise<void> {
  if (ords.length === 0) return;
  await tx.query(
    prepared(
      'redrive_closed',
      sql`
        update ops.redrive_item set outcome = 'succeeded', enqueued_at = clock_timestamp(), decided_at = clock_timestamp()
        where redrive_id = ${redriveId} and ord = any (${ords}::bigint[])`,
    ),
  );
}

/** Items that were not taken, with what became of their letters. */
export async function markSkipped(tx: Tx, redriveId: string, ords: readonly number[]): Promise<void> {
  if (ords.length === 0) return;
  await tx.query(sql`
    update ops.redrive_item i
    set outcome = 'skipped', decided_at = clock_timestamp(),
        why = coalesce((
          select case when d.state = 'retrying' then 'already_retrying' when d.version = i.letter_version then 'not_retryable'
                      when d.resolved then 'already_resolved' else 'version_changed' end
          from ops.dead_letter_queue d where d.id = i.letter_id), 'removed_by_retention')
    where redrive_id = ${redriveId} and ord = any (${ords}::bigint[])`);
}

export async function skipBecause(tx: Tx, redriveId: string, ords: readonly number[], why: string): Promise<void> {
  if (ords.length === 0) return;
  await tx.query(sql`
    update ops.redrive_item set outcome = 'skipped', decided_at = clock_timestamp(), why = ${why}
    where redrive_id = ${redriveId} and ord = any (${ords}::bigint[])`);
}

/** Of these items, those whose kind must not be repeated so long after its first failure. */
export async function pastSafeWindow(
  tx: Tx,
  registry: QueueRegistry,
  items: readonly PlannedItem[],
): Promise<ReadonlySet<number>> {
  const windows = registry.definitions.flatMap(({ name, kinds }) =>
    Object.entries(kinds).flatMap(([kind, { safeForMs }]) =>
      safeForMs === undefined ? [] : [{ queue: name, kind, safeForMs }],
    ),
  );
  if (windows.length === 0 || items.length === 0) return new Set();
  const { rows } = await tx.query<{ ord: number }>(sql`
    select s.ord
    from unnest(${items.map(({ ord }) => ord)}::bigint[], ${items.map(({ letter_id }) => letter_id)}::uuid[]) as s(ord, id)
    join ops.dead_letter_queue d on d.id = s.id
    join json_to_recordset(${JSON.stringify(windows)}::json) as w(queue text, kind text, "safeForMs" bigint)
      on w.queue = d.queue_name and w.kind = d.kind
    where d.first_failed_at < clock_timestamp() - w."safeForMs" * interval '1 ms'`);
  return new Set(rows.map(({ ord }) => ord));
}

/** Cancels items that were not sent; answers how many. */
export async function cancelItems(tx: Tx, redriveId: string, limit: number): Promise<number> {
  const { rowCount } = await tx.query(sql`
    update ops.redrive_item set outcome = 'cancelled', decided_at = clock_timestamp()
    where redrive_id = ${redriveId} and ord = any (array (
      select ord from ops.redrive_item where redrive_id = ${redriveId} and outcome = 'planned' order by ord limit ${limit}))`);
  return rowCount;
}

/** Whether any item is out. */
export async function isAnyOut(db: Queryable, redriveId: string): Promise<boolean> {
  const { rows } = await db.query<{ there: boolean }>(sql`
    select exists (select from ops.redrive_item where redrive_id = ${redriveId} and outcome = 'enqueued') as there`);
  return rows[0]?.there ?? false;
}

/** A run that was taken back, to be removed from Redis. */
export interface Recalled {
  readonly run_key: string;
  readonly queue: string;
}

/**
 * Takes back runs that have not begun: each gets the verdict dead, so that a worker that meets it leaves it alone, and its letter waits
 * again as if it had not been sent.
 */
export async function recallItems(
  tx: Tx,
  redriveId: string,
  after: number,
  limit: number,
): Promise<{ recalled: Recalled[]; last: number | null }> {
  const { rows } = await tx.query<{ recalled: Recalled[]; last: number | null }>(sql`
    with sent as materialized (
      select ord, letter_id, generation from ops.redrive_item
      where redrive_id = ${redriveId} and outcome = 'enqueued' and ord > ${after} order by ord limit ${limit}),
    taken as (
      update ops.job_run r
      set state = 'dead', cause = 'removed', finished_at = clock_timestamp(), died_at = clock_timestamp()
      from sent s
      where r.run_key = 'dlq-' || s.letter_id || '-r' || s.generation and r.state = 'enqueued' and r.started = 0
      returning r.run_key, r.queue, r.dlq_id, r.generation, s.ord),
    gone as (delete from ops.job_outbox o using taken t where o.run_key = t.run_key),
    waiting as (
      update ops.dead_letter_queue d set state = 'pending', version = d.version + 1
      from taken t where d.id = t.dlq_id and d.generation = t.generation and d.state = 'retrying'),
    cancelled as (
      update ops.redrive_item i set outcome = 'cancelled', why = 'recalled', decided_at = clock_timestamp()
      where i.redrive_id = ${redriveId} and i.ord = any (array (select ord from taken)))
    select coalesce((select jsonb_agg(jsonb_build_object('run_key', run_key, 'queue', queue)) from taken), '[]') as recalled,
           (select max(ord) from sent) as last`);
  return rows[0] ?? { recalled: [], last: null };
}

/**
 * Decides items that were sent and whose runs ended without telling them: a run that retention or a hand removed. Looks at the first
 * `limit` that are out.
 */
export async function settleStrays(tx: Tx, redriveId: string, limit: number): Promise<void> {
  const { rows } = await tx.query<{ ord: number; state: string | null }>(sql`
    select i.ord, (select r.state from ops.job_run r where r.run_key = 'dlq-' || i.letter_id || '-r' || i.generation) as state
    from (
      select ord, letter_id, generation from ops.redrive_item
      where redrive_id = ${redriveId} and outcome = 'enqueued' order by ord limit ${limit}) i`);
  const ended = Map.groupBy(
    rows.filter(({ state }) => state !== 'enqueued'),
    ({ state }) => state,
  );
  for (const [state, items] of ended) {
    await tx.query(sql`
      update ops.redrive_item
      set outcome = ${state === 'done' ? 'succeeded' : 'failed'}, decided_at = clock_timestamp(),
          why = ${state === null ? 'run_removed' : `run_${state}`}
      where redrive_id = ${redriveId} and ord = any (${items.map(({ ord }) => ord)}::bigint[]) and outcome = 'enqueued'`);
  }
}
