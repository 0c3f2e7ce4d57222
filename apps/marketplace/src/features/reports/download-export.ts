import type { Actor, Database } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { FileStore } from '../../file-store/index.ts';
import type { Log } from '../../log.ts';
import type { ExportRow } from './export-queries.ts';
import { readExport } from './export-queries.ts';
import { personalTypes } from './export-types.ts';
import { record } from './request-export.ts';

export interface DownloadDeps {
  readonly db: Database;
  readonly files: FileStore;
  readonly log: Log;
  readonly now: () => Date;
}

/** How long a link is good, where the storage serves the file itself. */
const linkSeconds = 3_600;

/**
 * A way to the file of an export. What the staff download is audited before its first byte leaves. Refuses `not_found`, `not_ready`,
 * `invalid_state`, `expired` and `storage_unavailable`.
 */
export async function downloadExport(
  { id, providerId, actor }: { id: string; providerId: string | undefined; actor: Actor },
  deps: DownloadDeps,
) {
  const { db, log, now } = deps;
  const found = await readExport(db, id, providerId);
  // The staff have the same rows in exports of their own; what a provider asked for is the provider's.
  if (!found || (!providerId && found.provider_id)) throw refuse('not_found');
  const { key, secondsLeft } = readyFile(found, now());
  if (!providerId) await recordDownload(db, found, actor);
  const file = await openFile(key, Math.min(linkSeconds, secondsLeft), deps);
  if (!file) {
    log.error('export_file_missing', undefined, { export_id: id });
    throw refuse('storage_unavailable');
  }
  return { file, name: fileNameOf(found) };
}

/** Where the file is, and how long it will be there. */
function readyFile({ status, storage_key, expires_at }: ExportRow, now: Date): { key: string; secondsLeft: number } {
  if (status === 'pending' || status === 'processing') throw refuse('not_ready', { status });
  if (status === 'failed' || status === 'cancelled') throw refuse('invalid_state', { status });
  const secondsLeft = Math.floor(((expires_at?.getTime() ?? 0) - now.getTime()) / 1000);
  if (status === 'expired' || storage_key === null || secondsLeft <= 0) throw refuse('expired');
  return { key: storage_key, secondsLeft };
}

async function openFile(key: string, seconds: number, { files, log, now }: DownloadDeps) {
  try {
    return await files.download(key, { linkSeconds: seconds, now: now() });
  } catch (error) {
    log.error('export_storage_failed', error);
    throw refuse('storage_unavailable');
  }
}

async function recordDownload(db: Database, { id, type, rows_done: rows }: ExportRow, actor: Actor): Promise<void> {
  const details = { type, rows, personal: personalTypes.has(type) };
  await db.transaction((tx) => record(tx, { id, actor, action: 'report.export_downloaded', details }));
}

/** Such as `leads-2026-01-01-2026-02-01.csv`. */
export function fileNameOf({ type, filters }: Pick<ExportRow, 'type' | 'filters'>): string {
  return `${type}-${filters.from.slice(0, 10)}-${filters.to.slice(0, 10)}.csv`;
}
