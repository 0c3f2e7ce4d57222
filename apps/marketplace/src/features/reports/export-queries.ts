import { type Queryable, sql } from '@fmhl/ops';
import type { ExportStatus, ExportType } from './export-contract.ts';

export interface ExportRow {
  id: string;
  requested_by: string;
  provider_id: string | null;
  type: ExportType;
  filters: { from: string; to: string };
  as_of: Date;
  status: ExportStatus;
  stalled: boolean;
  rows_done: number;
  rows_estimate: number | null;
  progress_at: Date | null;
  storage_key: string | null;
  bytes: number | null;
  sha256: string | null;
  completed_at: Date | null;
  expires_at: Date | null;
  error: string | null;
  created_at: Date;
  /** `created_at` to the microsecond. */
  position: string;
}

/** Without a new row for so long, an export counts as stalled. */
const stalledAfter = sql`interval '10 minutes'`;

const columns = sql`
  id, requested_by, provider_id, type, filters, as_of, status, rows_done, rows_estimate, progress_at, storage_key, bytes, sha256,
  completed_at, expires_at, error, created_at, created_at::text as position,
  status = 'processing' and progress_at < clock_timestamp() - ${stalledAfter} as stalled`;

export interface ExportDraft {
  readonly id: string;
  readonly requestedBy: string;
  readonly providerId: string | null;
  readonly type: ExportType;
  readonly from: string;
  readonly to: string;
  readonly correlationId: string;
}

/**
 * How many exports were asked for within a day, of a provider or by a member of the staff, and in how many seconds the first of them is a day
 * old. Whoever asks again meanwhile waits for the commit, so that nobody gets past a limit by asking twice at once.
 */
export async function countOfDay(
  tx: Queryable,
  { providerId, requestedBy }: Pick<ExportDraft, 'providerId' | 'requestedBy'>,
): Promise<{ count: number; seconds: number }> {
  await tx.query(sql`select pg_advisory_xact_lock(hashtext('export_job'), hashtext(${providerId ?? requestedBy}))`);
  const whose = providerId
    ? sql`provider_id = ${providerId}::uuid`
    : sql`provider_id is null and requested_by = ${requestedBy}::uuid`;
  const { rows } = await tx.query<{ count: number; seconds: number }>(sql`
    select count(*) as count, coalesce(ceil(extract(epoch from min(created_at) + interval '1 day' - clock_timestamp())), 0)::int as seconds
    from export_job where ${whose} and created_at > clock_timestamp() - interval '1 day'`);
  return rows[0] ?? { count: 0, seconds: 0 };
}

export async function insertExport(tx: Queryable, draft: ExportDraft): Promise<void> {
  await tx.query(sql`
    insert into export_job (id, requested_by, provider_id, type, filters, correlation_id)
    values (${draft.id}, ${draft.requestedBy}, ${draft.providerId}, ${draft.type},
            ${JSON.stringify({ from: draft.from, to: draft.to })}, ${draft.correlationId})`);
}

/** An export as one may see it: of one provider, or any. */
export async function readExport(db: Queryable, id: string, providerId?: string): Promise<ExportRow | undefined> {
  const { rows } = await db.query<ExportRow>(sql`
    select ${columns} from export_job
    where id = ${id} ${providerId === undefined ? sql`` : sql`and provider_id = ${providerId}::uuid`}`);
  return rows[0];
}

/** Newest first, behind `after` (a moment and an id). */
export async function listExports(
  db: Queryable,
  filter: {
    readonly providerId?: string;
    readonly status: ExportStatus | undefined;
    readonly after: readonly [string, string] | undefined;
    readonly limit: number;
  },
): Promise<ExportRow[]> {
  const { providerId, status, after, limit } = filter;
  const { rows } = await db.query<ExportRow>(sql`
    select ${columns} from export_job
    where true ${providerId === undefined ? sql`` : sql`and provider_id = ${providerId}::uuid`}
      ${status ? sql`and status = ${status}` : sql``}
      ${after ? sql`and (created_at, id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
    order by created_at desc, id desc limit ${limit}::int`);
  return rows;
}

/** An export that an attempt has taken, with what an attempt before it may have left in the storage. */
export interface TakenExport extends ExportRow {
  left_behind: string | null;
  requester_email: string;
  requester_status: string;
}

/**
 * Takes an export for an attempt that writes to `storageKey`: from then on whoever writes to another key is told to stop. Undefined when it
 * has ended, but for one that failed, which is begun anew.
 */
export async function takeExport(db: Queryable, id: string, storageKey: string): Promise<TakenExport | undefined> {
  const { rows } = await db.query<TakenExport>(sql`
    with was as (select id as was_id, storage_key as left_behind from export_job where id = ${id} for no key update),
    taken as (
      update export_job e
      set status = 'processing', storage_key = ${storageKey}, rows_done = 0, rows_estimate = null, error = null,
          progress_at = clock_timestamp(), updated_at = clock_timestamp(), version = e.version + 1
      from was where e.id = was.was_id and e.status in ('pending', 'processing', 'failed')
      returning e.*)
    select ${columns}, left_behind, (select u.email from v_user u where u.id = requested_by) as requester_email,
           (select u.status from v_user u where u.id = requested_by) as requester_status
    from taken join was on was_id = id`);
  return rows[0];
}

export async function exportExists(db: Queryable, id: string): Promise<boolean> {
  return (await db.query(sql`select from export_job where id = ${id}`)).rowCount === 1;
}

/** False when the export is not this attempt's any more: it was cancelled, or another attempt has taken it. */
export async function markProgress(
  db: Queryable,
  own: { readonly id: string; readonly storageKey: string },
  progress: { readonly rowsDone: number; readonly rowsEstimate?: number },
): Promise<boolean> {
  const { rowCount } = await db.query(sql`
    update export_job set rows_done = ${progress.rowsDone}, rows_estimate = coalesce(${progress.rowsEstimate ?? null}, rows_estimate),
                          progress_at = clock_timestamp(), updated_at = clock_timestamp()
    where id = ${own.id} and storage_key = ${own.storageKey} and status = 'processing'`);
  return rowCount === 1;
}

/** When the file ends to be there, or undefined when the export is not this attempt's any more. */
export async function markCompleted(
  tx: Queryable,
  own: { readonly id: string; readonly storageKey: string },
  file: { readonly rows: number; readonly bytes: number; readonly sha256: string },
): Promise<Date | undefined> {
  const { rows } = await tx.query<{ expires_at: Date }>(sql`
    update export_job
    set status = 'completed', rows_done = ${file.rows}, rows_estimate = ${file.rows}, bytes = ${file.bytes}, sha256 = ${file.sha256},
        completed_at = clock_timestamp(), expires_at = clock_timestamp() + interval '24 hours', progress_at = clock_timestamp(),
        updated_at = clock_timestamp(), version = version + 1
    where id = ${own.id} and storage_key = ${own.storageKey} and status = 'processing'
    returning expires_at`);
  return rows[0]?.expires_at;
}

export async function markFailed(
  db: Queryable,
  own: { readonly id: string; readonly storageKey: string },
  error: string,
): Promise<void> {
  await db.query(sql`
    update export_job set status = 'failed', error = ${error}, updated_at = clock_timestamp(), version = version + 1
    where id = ${own.id} and storage_key = ${own.storageKey} and status = 'processing'`);
}

/** True when it was open until now. */
export async function markCancelled(tx: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await tx.query(sql`
    update export_job set status = 'cancelled', updated_at = clock_timestamp(), version = version + 1
    where id = ${id} and status in ('pending', 'processing')`);
  return rowCount === 1;
}

/** Ends what has been there for a day. Answers how many. */
export async function expireCompleted(db: Queryable, limit: number): Promise<number> {
  const { rowCount } = await db.query(sql`
    update export_job set status = 'expired', updated_at = clock_timestamp(), version = version + 1
    where id in (select id from export_job where status = 'completed' and storage_key is not null and expires_at <= clock_timestamp()
                 order by expires_at limit ${limit} for no key update skip locked)`);
  return rowCount;
}

/** Open exports that nothing will go on with: no run of them waits or works. Answers how many were ended. */
export async function failDead(db: Queryable, limit: number): Promise<number> {
  const { rowCount } = await db.query(sql`
    update export_job set status = 'failed', error = 'job_dead', updated_at = clock_timestamp(), version = version + 1
    where status in ('pending', 'processing') and id in (
      select e.id from export_job e
      where e.status in ('pending', 'processing') and e.created_at < clock_timestamp() - interval '1 minute'
        and not exists (select from ops.job_run r where r.run_key = 'export-' || e.id and r.state = 'enqueued')
        and not exists (select from ops.job_run r
                        where r.root_key = 'export-' || e.id and r.generation > 0 and r.state = 'enqueued')
      order by e.created_at limit ${limit} for no key update skip locked)`);
  return rowCount;
}

/** Files that nobody may read any more: of ended exports, an hour after an attempt may have written to them for the last time. */
export async function listUnused(db: Queryable, limit: number): Promise<{ id: string; storage_key: string }[]> {
  const { rows } = await db.query<{ id: string; storage_key: string }>(sql`
    select id, storage_key from export_job
    where storage_key is not null
      and (status = 'expired' or (status in ('failed', 'cancelled') and updated_at < clock_timestamp() - interval '1 hour'))
    order by updated_at limit ${limit}`);
  return rows;
}

/** Notes that a file is gone. */
export async function forgetFile(db: Queryable, file: { id: string; storage_key: string }): Promise<void> {
  await db.query(sql`
    update export_job set storage_key = null, updated_at = clock_timestamp()
    where id = ${file.id} and storage_key = ${file.storage_key} and status in ('expired', 'failed', 'cancelled')`);
}
