import type { Database } from '../postgres/index.ts';
import { type Actor, audit, type AuditEntry } from './append.ts';
import type { AuditKey } from './chain.ts';
import { adoptionAction } from './contract.ts';
import { demandOwnHead, linkOnce } from './link.ts';
import { readHead } from './queries.ts';

export interface KeyChange {
  /** Those of the host, the current one first. */
  readonly keys: readonly AuditKey[];
  readonly actor: Actor;
}

/**
 * Appends `keys.changed` to the audit log and links it, with all that waits, under the current key: from then on the chain is gone on with and
 * verified without the previous one. Answers whether there was need to. Throws when the newest link is of neither key, and when a process
 * that runs still links under another key than the current one.
 */
export async function changeAuditKey(db: Database, { keys, actor }: KeyChange): Promise<boolean> {
  const [current] = keys;
  const head = await readHead(db);
  demandOwnHead(head, keys);
  if (!current || !head || head.key_id === current.id) return false;
  const details = { from: head.key_id, to: current.id, n: head.n };
  const entry = { actor, action: 'keys.changed', targetType: 'audit_chain', targetId: current.id, details };
  await linkUnder(db, { keys, current, entry });
  return true;
}

/**
 * Goes on with a chain whose newest links are sealed by a key that the host does not have any more (it was stolen, or lost): appends
 * `keys.adopted` with the reason and links it, with all that waits, under the current key. Nobody can check the seals before it from then on,
 * and a verification says so. Answers the place of the last link that is taken over so; undefined when there is none. Throws when that link
 * has no seal, or a wrong one of a key that the host has: then it is forged.
 */
export async function adoptAuditChain(
  db: Database,
  { keys, actor, reason }: KeyChange & { readonly reason: string },
): Promise<number | undefined> {
  const [current] = keys;
  const head = await readHead(db);
  if (!current || !head?.key_id || keys.some(({ id }) => id === head.key_id)) {
    demandOwnHead(head, keys);
    return undefined;
  }
  const details = { from: head.key_id, to: current.id, n: head.n };
  const entry = { actor, action: adoptionAction, targetType: 'audit_chain', targetId: current.id, reason, details };
  await linkUnder(db, { keys, current, entry, adopted: head.key_id });
  return head.n;
}

interface NewKey {
  readonly keys: readonly AuditKey[];
  readonly current: AuditKey;
  readonly entry: AuditEntry;
  readonly adopted?: string;
}

async function linkUnder(db: Database, { keys, current, entry, adopted }: NewKey): Promise<void> {
  await db.transaction((tx) => audit(tx, entry));
  while ((await linkOnce({ db, keys, ...(adopted !== undefined && { adopted }) })).more);
  if ((await readHead(db))?.key_id !== current.id)
    throw new Error('a running scheduler links under another key: restart it with the new one, then repeat this');
}
