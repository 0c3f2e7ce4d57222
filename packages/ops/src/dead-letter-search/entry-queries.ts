import { attemptsHistory } from '../dead-letters/index.ts';
import { prepared, type Queryable, sql } from '../postgres/index.ts';
import type { StoredRun, StoredWorker } from './attempts.ts';
import { rowColumns, type StoredRow } from './list-queries.ts';
import type { StoredPayload } from './payload-view.ts';

export interface StoredLetter extends StoredRow {
  root_key: string;
  stack_trace: string | null;
  error_code: string | null;
  payload_bytes: number;
  first_failed_at: Date;
  worker_host: string | null;
  causation_id: string | null;
  traceparent: string | null;
  ticket: string | null;
  synthetic: boolean;
  resolved_at: Date | null;
  resolved_by: string | null;
  resolution: { how: string; by?: string; by_name?: string; reason?: string; ticket?: string } | null;
  evidence_lacks: string | null;
  first_version: string | null;
  /** Of the last deploy before the death. */
  deployed_version: string | null;
  deployed_at: Date | null;
  payload_version: number;
  encoding: StoredPayload['encoding'] | null;
  body: string | null;
  bytes: Buffer | null;
  sha256: string | null;
}

/** One letter with its present payload; undefined when there is none. */
export async function readLetter(db: Queryable, id: string): Promise<StoredLetter | undefined> {
  const { rows } = await db.query<StoredLetter>(
    prepared(
      'letter',
      sql`
        select ${rowColumns}, d.root_key, d.stack_trace, d.error_code, d.payload_bytes, d.first_failed_at, d.worker_host, d.causation_id,
               d.traceparent, d.ticket, d.synthetic, d.resolved_at, d.resolved_by, d.resolution, d.evidence_lacks, g.first_version,
               d.payload_version, p.encoding, p.body, p.bytes, p.sha256, w.version as deployed_version, w.at as deployed_at
        from ops.dead_letter_queue d
        left join ops.dead_letter_group g using (fingerprint)
        left join ops.dead_letter_payload p on p.letter_id = d.id and p.version = d.payload_version
        left join lateral (
          select version, min(started_at) as at from ops.worker group by version
          having min(started_at) <= d.failed_at order by at desc limit 1) w on true
        where d.id = ${id}`,
    ),
  );
  return rows[0];
}

/** The version of a letter; undefined when there is none. */
export async function readVersion(db: Queryable, id: string): Promise<number | undefined> {
  const { rows } = await db.query<{ version: number }>(
    prepared('letter-version', sql`select version from ops.dead_letter_queue where id = ${id}`),
  );
  return rows[0]?.version;
}

/** Every run of the work: the one that died first, and the letter's retries. */
export async function readRuns(db: Queryable, letter: { id: string; root_key: string }): Promise<StoredRun[]> {
  const columns = sql`run_key, generation, queue, state, started, finished, cause, enqueued_at, last_started_at, finished_at, worker,
                      ${attemptsHistory}, correlation_id`;
  const { rows } = await db.query<StoredRun>(
    prepared(
      'letter-runs',
      sql`
        select ${columns} from ops.job_run r where run_key = ${letter.root_key}::text and generation = 0
        union all
        select ${columns} from ops.job_run r where run_key = any (array (
          select 'dlq-' || id || '-r' || g from ops.dead_letter_queue, generate_series(greatest(1, generation - 999), generation) g
          where id = ${letter.id}))`,
    ),
  );
  return rows;
}

/** Workers by their ids. Those that stopped a week ago are gone. */
export async function readWorkers(db: Queryable, ids: readonly string[]): Promise<Map<string, StoredWorker>> {
  const asked = ids.filter((id) => /^[0-9a-f-]{36}$/.test(id));
  if (asked.length === 0) return new Map();
  const { rows } = await db.query<StoredWorker>(
    prepared('letter-workers', sql`select id, host, pid, version from ops.worker where id = any(${asked}::uuid[])`),
  );
  return new Map(rows.map((row) => [row.id, row]));
}

export interface StoredRetry {
  generation: number;
  by: string;
  reason: string | null;
  redrive_id: string | null;
}

/** Who asked for the retries of a letter. */
export async function readRetries(db: Queryable, id: string): Promise<StoredRetry[]> {
  const { rows } = await db.query<StoredRetry>(
    prepared(
      'letter-retries',
      sql`
        select (details ->> 'generation')::int as generation, actor_name as by, reason, details ->> 'redrive_id' as redrive_id
        from ops.audit_log
        where target_type = 'dead_letter' and target_id = ${id} and action = 'dlq.job_retried'
        order by seq desc limit 1000`,
    ),
  );
  return rows;
}

export interface StoredRedrive {
  id: string;
  name: string;
  action: string;
  state: string;
  outcome: string;
  why: string | null;
  at: Date | null;
}

/** The redrives a letter was in, newest first. */
export async function readRedrives(db: Queryable, id: string): Promise<StoredRedrive[]> {
  const { rows } = await db.query<StoredRedrive>(
    prepared(
      'letter-redrives',
      sql`
        select r.id, r.name, r.action, r.state, i.outcome, i.why, coalesce(i.decided_at, i.enqueued_at) as at
        from ops.redrive_item i join ops.redrive r on r.id = i.redrive_id
        where i.letter_id = ${id} order by r.created_at desc limit 100`,
    ),
  );
  return rows;
}

export interface StoredPatch {
  version: number;
  sha256: string;
  author: string | null;
  reason: string | null;
  changed: string[] | null;
  created_at: Date;
}

/** Edits of a letter's payload, newest first. */
export async function readPatches(db: Queryable, id: string): Promise<StoredPatch[]> {
  const { rows } = await db.query<StoredPatch>(
    prepared(
      'letter-patches',
      sql`
        select version, sha256, author, reason, changed, created_at from ops.dead_letter_payload
        where letter_id = ${id} and version > 0 order by version desc limit 100`,
    ),
  );
  return rows;
}

export interface StoredNote {
  id: string;
  author: string;
  text: string;
  created_at: Date;
}

/** What people noted on a letter, newest first. */
export async function readNotes(db: Queryable, id: string): Promise<StoredNote[]> {
  const { rows } = await db.query<StoredNote>(
    prepared(
      'letter-notes',
      sql`
        select id, author_name as author, text, created_at from ops.dead_letter_note
        where letter_id = ${id} order by created_at desc limit 100`,
    ),
  );
  return rows;
}
