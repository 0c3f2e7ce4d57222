import type { Database } from '@fmhl/ops';
import type { FileStore } from '../../file-store/index.ts';
import type { Log } from '../../log.ts';
import { expireCompleted, failDead, forgetFile, listUnused } from './export-queries.ts';

export interface SweepExportsDeps {
  readonly files: FileStore;
  readonly log: Log;
  /** Most rows of one kind. */
  readonly limit: number;
}

/** Ends exports whose time is over or whose job is dead, and then removes files that nobody may read any more. For a loop; answers how many. */
export async function sweepExports(db: Database, deps: SweepExportsDeps): Promise<{ expired: number; failed: number }> {
  const expired = await expireCompleted(db, deps.limit);
  const failed = await failDead(db, deps.limit);
  await removeUnused(db, deps);
  return { expired, failed };
}

/** A storage that does not answer is asked once and no more: what it keeps is taken away the next time, and the rest of the loop goes on. */
async function removeUnused(db: Database, { files, log, limit }: SweepExportsDeps): Promise<void> {
  for (const file of await listUnused(db, limit)) {
    try {
      await files.remove(file.storage_key);
    } catch (error) {
      log.error('export_storage_failed', error, { export_id: file.id });
      return;
    }
    await forgetFile(db, file);
  }
}
