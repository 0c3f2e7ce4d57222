import { join } from 'node:path';

/** The file of a data directory to which the head of the audit chain is written. Whoever has the disk has both; AUDIT_ANCHOR names a better place. */
export function anchorIn(dataDir: string): string {
  return join(dataDir, 'audit-anchor.jsonl');
}
