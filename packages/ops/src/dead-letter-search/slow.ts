import type { Database, Queryable } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';

/** Longest statement of a filter that no index follows, in ms. */
const longestMs = 2_000;

/**
 * Runs a read of a selection. One that no index follows has 2 s for each statement, and then is refused `filter_too_slow`;
 * the others need no transaction.
 */
export async function withinTime<T>(db: Database, isIndexed: boolean, read: (db: Queryable) => Promise<T>): Promise<T> {
  if (isIndexed) return read(db);
  try {
    return await db.transaction(read, { readOnly: true, statementTimeoutMs: longestMs });
  } catch (error) {
    if (isCancelled(error)) throw tooSlow();
    throw error;
  }
}

/** True when Postgres ended a statement because its time was over. */
export function isCancelled(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === '57014';
}

export function tooSlow() {
  return refuse('filter_too_slow', {
    limit_ms: longestMs,
    hint: 'narrow it by queue, fp, state:open or failed:>=…, which have an index',
  });
}
