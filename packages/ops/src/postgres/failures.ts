import { AmbiguousCommit, connectionIsGone, isOfDatabase } from './database.ts';

/**
 * What kind of failure a database error is:
 * - `conflict`: deadlock, serialization or lock timeout; the same work may succeed at once.
 * - `infrastructure`: the server is away, starting, read-only, full or out of connections.
 * - `ambiguous`: the connection was lost during COMMIT.
 * - `undefined`: none of these, so the statement or the data is at fault.
 */
export type DatabaseFailure = 'conflict' | 'infrastructure' | 'ambiguous' | undefined;

const conflicts = new Set(['40P01', '40001', '55P03']);
// 25006 read-only, 53xxx out of memory, disk or connections, 57P0x shutdown, 58030 I/O error, 08xxx connection.
const infrastructure = /^(08|25006|53|57P0|58030)/;

/** Judges a thrown value by its SQLSTATE or connection error. Of errors that no {@link Database} threw it says nothing. */
export function databaseFailure(error: unknown): DatabaseFailure {
  if (error instanceof AmbiguousCommit) return 'ambiguous';
  if (!isOfDatabase(error)) return undefined;
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code === 'string' && conflicts.has(code)) return 'conflict';
  if (typeof code === 'string' && infrastructure.test(code)) return 'infrastructure';
  if (connectionIsGone(error)) return 'infrastructure';
  if (error instanceof Error && /timeout exceeded when trying to connect|Cannot use a pool after/.test(error.message))
    return 'infrastructure';
  return undefined;
}
