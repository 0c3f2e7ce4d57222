import { randomBytes } from 'node:crypto';
import { bury, type Database, done, type Job, type JobHandler, type JobOutcome, PermanentError } from '@fmhl/ops';
import type { FileStore, StoredFile } from '../../file-store/index.ts';
import type { Log } from '../../log.ts';
import { queueMail } from '../email/index.ts';
import { fileNameOf } from './download-export.ts';
import {
  exportExists,
  markCompleted,
  markFailed,
  markProgress,
  type TakenExport,
  takeExport,
} from './export-queries.ts';
import { countRows, exportKinds, type Selection } from './export-types.ts';
import { ExportEnded, type Written, writeRows } from './write-rows.ts';

export interface ExportHandlerDeps {
  readonly db: Database;
  readonly files: FileStore;
  readonly log: Log;
  /** Rows of one page. Default 1,000. */
  readonly pageRows?: number;
  /** Default: that of the type. */
  readonly mostRows?: number;
}

type ExportJob = Job<{ v: 1; export_id: string }>;

/** An export that no further attempt can write, with the word for it that its row keeps. */
class ExportRefused extends PermanentError {
  override name = 'ExportRefused';
  readonly word: string;

  constructor(word: string, message: string) {
    super(message);
    this.word = word;
  }
}

/** One attempt at one export: it alone writes to its key. */
interface Attempt {
  readonly job: ExportJob;
  readonly taken: TakenExport;
  readonly own: { readonly id: string; readonly storageKey: string };
  readonly selection: Selection;
  readonly startedAt: number;
}

/**
 * Writes the file that a job names. Each attempt claims the export under a key of its own before it writes; the file is named by the row, and
 * so exists for anybody, with the commit of the verdict alone. What an attempt that died has left is removed by the next.
 */
export function openExportHandler(deps: ExportHandlerDeps): JobHandler<{ v: 1; export_id: string }> {
  return async (job) => {
    const id = job.payload.export_id;
    const storageKey = `${id}-${randomBytes(4).toString('hex')}.csv`;
    const taken = await takeExport(deps.db, id, storageKey);
    if (!taken) return (await exportExists(deps.db, id)) ? done : bury(new PermanentError('the export does not exist'));
    const { from, to } = taken.filters;
    const selection = { providerId: taken.provider_id, from, to, asOf: taken.as_of };
    return attempt({ job, taken, selection, own: { id, storageKey }, startedAt: performance.now() }, deps);
  };
}

async function attempt(one: Attempt, deps: ExportHandlerDeps): Promise<JobOutcome> {
  const { own, taken } = one;
  try {
    if (taken.left_behind) await deps.files.remove(taken.left_behind);
    await refuseImpossible(one, deps);
    const written: Written = { rows: 0 };
    const file = await deps.files.put(own.storageKey, writeRows({ ...one, taken, written }, deps), {
      signal: one.job.signal,
      contentType: 'text/csv; charset=utf-8',
      fileName: fileNameOf(taken),
    });
    await complete(one, { ...file, rows: written.rows }, deps);
    return done;
  } catch (error) {
    if (error instanceof ExportEnded) return stop(one, deps);
    if (!(error instanceof ExportRefused)) throw error;
    await markFailed(deps.db, own, error.word);
    deps.log.warn('export_failed', { export_id: own.id, type: taken.type, reason: error.word });
    return bury(error);
  }
}

/** Counts first: a file that would be too large is never begun. */
async function refuseImpossible({ own, taken, selection }: Attempt, deps: ExportHandlerDeps): Promise<void> {
  const { db, mostRows = exportKinds[taken.type].mostRows } = deps;
  const { type, requester_status } = taken;
  if (requester_status !== 'active') throw new ExportRefused('requester_disabled', 'whoever asked is disabled');
  const { rows } = await db.query<{ rows: number }>(countRows(type, selection, mostRows));
  const estimate = rows[0]?.rows ?? 0;
  if (estimate > mostRows) throw new ExportRefused('row_limit', `the export has more than ${mostRows} rows`);
  if (!(await markProgress(db, own, { rowsDone: 0, rowsEstimate: estimate }))) throw new ExportEnded();
}

/** The row, the mail and the verdict in one commit. */
async function complete(
  { job, own, taken, startedAt }: Attempt,
  file: StoredFile & { rows: number },
  { log }: ExportHandlerDeps,
): Promise<void> {
  const { type, requester_email: to, provider_id } = taken;
  await job.commit(async (tx) => {
    if (!(await markCompleted(tx, own, file))) throw new ExportEnded();
    await queueMail(tx, {
      template: 'export_ready',
      variables: { export_id: own.id, type, rows: file.rows, is_own: provider_id !== null },
      to,
      dedupeKey: `export_ready:${own.id}`,
      related: { type: 'export', id: own.id },
    });
    tx.afterCommit(() => {
      const ms = Math.round(performance.now() - startedAt);
      log.info('export_completed', { export_id: own.id, type, rows: file.rows, bytes: file.bytes, ms });
    });
  });
}

/** Cancelled, or taken over by another attempt: what this one wrote is of no use. */
async function stop({ own }: Attempt, { files, log }: ExportHandlerDeps): Promise<JobOutcome> {
  await files.remove(own.storageKey);
  log.info('export_stopped', { export_id: own.id });
  return done;
}
