import { prepared, type Queryable, sql, type Tx } from '../postgres/index.ts';
import { type Candidate, pickCanary } from './canary.ts';
import type { PlannedItem } from './item-queries.ts';
import type { Redrive } from './queries.ts';

interface CanaryCandidate extends Candidate, PlannedItem {
  readonly queue: string;
  readonly kind: string;
  readonly fingerprint: string;
}

/** Items looked at from each end of the plan, and evenly in between: enough to meet the shapes there are. */
const looked = 200;

/** Picks the canary of a plan from what is left of it. */
export async function chooseCanary(tx: Tx, redrive: Redrive, size: number): Promise<CanaryCandidate[]> {
  const step = Math.max(1, Math.floor((redrive.included ?? 0) / looked));
  const { rows } = await tx.query<CanaryCandidate>(sql`
    with strata as (
      select (jsonb_array_elements(plan -> 'strata'))::bigint as ord from ops.redrive where id = ${redrive.id}),
    place as (
      (select ord from ops.redrive_item where redrive_id = ${redrive.id} and outcome = 'planned' order by ord limit ${looked})
      union
      (select ord from ops.redrive_item where redrive_id = ${redrive.id} and outcome = 'planned' order by ord desc limit ${looked})
      union select ord from strata
      union select generate_series(1, ${redrive.included ?? 0}::bigint, ${step}::bigint))
    select i.ord, i.letter_id, i.letter_version, d.queue_name as queue, d.kind, d.fingerprint,
           concat_ws(' ', d.queue_name, d.kind, md5((
             select string_agg(name, ',' order by name)
             from jsonb_object_keys(case when jsonb_typeof(d.payload) = 'object' then d.payload else '{}' end) as name))) as stratum
    from place p
    join ops.redrive_item i on i.redrive_id = ${redrive.id} and i.ord = p.ord and i.outcome = 'planned'
    join ops.dead_letter_queue d on d.id = i.letter_id
    order by i.ord`);
  return pickCanary(rows, size);
}

/** 95 % of the lately done jobs of these kinds took no longer than this from due to done, in ms; 0 when none was done. */
export async function usualTime(db: Queryable, items: readonly CanaryCandidate[]): Promise<number> {
  const { rows } = await db.query<{ ms: number | null }>(sql`
    select (percentile_cont(0.95) within group (order by extract(epoch from finished_at - run_at) * 1000))::float8 as ms
    from (
      select finished_at, run_at from ops.job_run
      where enqueued_at > clock_timestamp() - interval '1 hour' and state = 'done'
        and queue = any (${[...new Set(items.map(({ queue }) => queue))]}::text[])
        and kind = any (${[...new Set(items.map(({ kind }) => kind))]}::text[])
      limit 2000) lately`);
  return rows[0]?.ms ?? 0;
}

export async function readCanaryItems(
  tx: Tx,
  redriveId: string,
  ords: readonly number[],
): Promise<{ outcome: string }[]> {
  const { rows } = await tx.query<{ outcome: string }>(
    prepared(
      'redrive_canary',
      sql`select outcome from ops.redrive_item where redrive_id = ${redriveId} and ord = any (${ords}::bigint[])`,
    ),
  );
  return rows;
}

/** Versions of the workers that ran the canary. */
export async function readVersions(tx: Tx, redriveId: string, ords: readonly number[]): Promise<string[]> {
  const { rows } = await tx.query<{ version: string }>(sql`
    select distinct w.version
    from ops.redrive_item i
    join ops.job_run r on r.run_key = 'dlq-' || i.letter_id || '-r' || i.generation
    join ops.worker w on w.id = r.worker
    where i.redrive_id = ${redriveId} and i.ord = any (${ords}::bigint[])
    order by 1`);
  return rows.map(({ version }) => version);
}

/** Keeps the verdict on the groups that the canary's letters were in. */
export async function tellGroups(
  tx: Tx,
  fingerprints: readonly string[],
  verdict: Record<string, unknown>,
): Promise<void> {
  await tx.query(sql`
    update ops.dead_letter_group g set last_canary = ${JSON.stringify(verdict)}::jsonb || jsonb_build_object('at', clock_timestamp())
    from (select fingerprint from ops.dead_letter_group where fingerprint = any (${fingerprints}::text[])
          order by fingerprint for no key update) locked
    where g.fingerprint = locked.fingerprint`);
}
