import { type Database, sql } from '@fmhl/ops';
import { ConfigError } from './config.ts';

/** Asks the database once. Throws a `ConfigError` that names the setting when it cannot be used; never shows its password. */
export async function requireDatabase(db: Database): Promise<void> {
  try {
    await db.query(sql`select 1`);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    throw new ConfigError([`DATABASE_URL: PostgreSQL cannot be used (${code ?? message})`]);
  }
}
