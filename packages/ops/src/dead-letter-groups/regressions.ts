import { audit, systemActor } from '../audit/index.ts';
import { type Database, type Queryable, sql } from '../postgres/index.ts';
import { type FirstStarts, isAtLeast } from './version-order.ts';

/** A death, after the fix, on a version that holds the fix. */
export interface Regression {
  readonly fingerprint: string;
  readonly version: string;
  readonly at: Date;
}

interface Candidate {
  fingerprint: string;
  fixed_in: string;
  worker_version: string;
}

/**
 * Groups that died again although they were fixed, and are not marked so yet. The hours name the versions that died since; only for those
 * that hold the fix are letters asked.
 */
export async function findRegressions(db: Queryable, fingerprints?: readonly string[]): Promise<Regression[]> {
  const candidates = await readCandidates(db, fingerprints);
  if (candidates.length === 0) return [];
  const starts = await readFirstStarts(db);
  const suspects = candidates.filter(({ worker_version, fixed_in }) => isAtLeast(worker_version, fixed_in, starts));
  if (suspects.length === 0) return [];
  const { rows } = await db.query<{ fingerprint: string; version: string; at: Date }>(sql`
    select distinct on (g.fingerprint) g.fingerprint, s.version, d.failed_at as at
    from unnest(${suspects.map((suspect) => suspect.fingerprint)}::text[], ${suspects.map((suspect) => suspect.worker_version)}::text[])
      as s(fingerprint, version)
    join ops.dead_letter_group g using (fingerprint)
    cross join lateral (
      select min(failed_at) as failed_at from ops.dead_letter_queue
      where fingerprint = g.fingerprint and resolved = any (array[false, true]) and failed_at > g.fixed_at
        and worker_version = s.version) d
    where d.failed_at is not null
    order by g.fingerprint, d.failed_at`);
  return rows;
}

/** When each version first began to work, ISO 8601. */
export async function readFirstStarts(db: Queryable): Promise<FirstStarts> {
  const { rows } = await db.query<{ version: string; at: Date }>(
    sql`select version, min(started_at) as at from ops.worker group by version`,
  );
  return new Map(rows.map(({ version, at }) => [version, at.toISOString()]));
}

async function readCandidates(db: Queryable, fingerprints: readonly string[] | undefined): Promise<Candidate[]> {
  const { rows } = await db.query<Candidate>(sql`
    select distinct g.fingerprint, g.fixed_in, h.worker_version
    from ops.dead_letter_group g
    cross join lateral (
      select worker_version from ops.dead_letter_hour
      where fingerprint = g.fingerprint and hour >= date_trunc('hour', g.fixed_at, 'UTC') and deaths > 0
      union all
      select worker_version from ops.dead_letter_change
      where fingerprint = g.fingerprint and at > g.fixed_at and deaths > 0) h
    where g.fixed_in is not null and g.regressed_at is null and h.worker_version <> ''
      ${fingerprints ? sql`and g.fingerprint = any (${[...fingerprints]}::text[])` : sql``}`);
  return rows;
}

/** Marks regressed groups and ends their snooze, each with its audit row. Answers how many. */
export async function markRegressions(db: Database): Promise<number> {
  const found = await findRegressions(db);
  let marked = 0;
  for (const { fingerprint, version, at } of found) {
    await db.transaction(async (tx) => {
      const { rowCount } = await tx.query(sql`
        update ops.dead_letter_group
        set regressed_at = ${at}, snoozed_until = null, snoozed_deaths = null, version = version + 1
        where fingerprint = ${fingerprint} and fixed_in is not null and regressed_at is null and fixed_at < ${at}`);
      if (rowCount === 0) return;
      marked += 1;
      const target = { targetType: 'dead_letter_group', targetId: fingerprint };
      await audit(tx, {
        actor: systemActor,
        action: 'dlq.group_regressed',
        ...target,
        details: { worker_version: version },
      });
    });
  }
  return marked;
}
