import { connectRedis, openDatabase, type Queryable, sql } from '@fmhl/ops';
import { ConfigError } from './config.ts';

/** Asks the database once. Throws a `ConfigError` that names the setting when it cannot be used; never shows its password. */
export async function requireDatabase(db: Queryable): Promise<void> {
  try {
    await db.query(sql`select 1`);
  } catch (error) {
    throw new ConfigError([`DATABASE_URL: PostgreSQL cannot be used (${reasonOf(error)})`]);
  }
}

/** The same before there is an application. */
export async function requireDatabaseAt(url: string): Promise<void> {
  const db = openDatabase({ url, poolSize: 1 });
  try {
    await requireDatabase(db);
  } finally {
    await db.close();
  }
}

/** Asks Redis once, for what cannot work without it. Throws a `ConfigError` that names the setting; never shows its password. */
export async function requireRedisAt(url: string): Promise<void> {
  let fault: Error | undefined;
  const redis = connectRedis({ url, onError: (error) => (fault ??= error) });
  try {
    await redis.ping();
  } catch (error) {
    throw new ConfigError([`REDIS_URL: Redis cannot be used (${reasonOf(fault ?? error)})`]);
  } finally {
    redis.disconnect();
  }
}

/** On one line. The error of a host with several addresses has a code only. */
function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  return (message || code || 'no answer').replace(/\s+/g, ' ');
}
