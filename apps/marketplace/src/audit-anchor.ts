import { join } from 'node:path';

/** AUDIT_ANCHOR where there is to be none, not even in the data directory. */
export const noAnchor = 'none';

/** The file of a data directory to which the head of the audit chain is written. Whoever has the disk has both; AUDIT_ANCHOR names a better place. */
export function anchorIn(dataDir: string): string {
  return join(dataDir, 'audit-anchor.jsonl');
}
