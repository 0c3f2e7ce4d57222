import type { Database } from '@fmhl/ops';
import type { FileStore } from '../../file-store/index.ts';
import { expireCompleted, failDead, forgetFile, listUnused } from './export-queries.ts';

/**
 * Ends exports whose time is over or whose job is dead, and then removes files that nobody may read any more: one that cannot be removed now
 * is tried again the next time. For a loop; answers how many.
 */
export async function sweepExports(
  db: Database,
  { files, limit }: { readonly files: FileStore; readonly limit: number },
): Promise<{ expired: number; failed: number }> {
  const expired = await expireCompleted(db, limit);
  const failed = await failDead(db, limit);
  for (const file of await listUnused(db, limit)) {
    await files.remove(file.storage_key);
    await forgetFile(db, file);
  }
  return { expired, failed };
}
