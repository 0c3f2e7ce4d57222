import { openMigrator } from '@fmhl/ops';
import { ConfigError } from '../config.ts';
import { requireDatabaseAt } from '../connect-faults.ts';
import { migrationSets } from '../migrations.ts';

/** Throws a `ConfigError` when the database cannot be reached, or is of another version than this program. */
export async function requireMigrated(url: string): Promise<void> {
  await requireDatabaseAt(url);
  const migrations = await openMigrator({ url, sets: migrationSets }).status();
  if (migrations.every(({ appliedAt }) => appliedAt !== undefined)) return;
  throw new ConfigError(['the database is not at the version of this program: run `fmhl migrate` first']);
}
