import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const LOCKED = 5;

export interface DataLock {
  release(): void;
}

/**
 * Holds the data directory for this process. The operating system frees the lock when its holder dies, however it dies, so there is no
 * stale lock to judge; SQLite is the one part of Node that can ask for such a lock. Throws one line when another process holds it.
 */
export function lockDataDirectory(dataDir: string): DataLock {
  const database = new DatabaseSync(join(dataDir, 'lock'));
  const holder = join(dataDir, 'fmhl.pid');
  try {
    database.exec('PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== LOCKED) throw error;
    throw new Error(
      `another fmhl (pid ${readHolder(holder)}) is using ${dataDir}: stop it, or choose another --data-dir`,
    );
  }
  writeFileSync(holder, `${process.pid}\n`);
  let held = true;
  return {
    release: () => {
      if (!held) return;
      held = false;
      rmSync(holder, { force: true });
      database.close();
    },
  };
}

function readHolder(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return 'starting';
  }
}
