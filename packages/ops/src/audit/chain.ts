import { createHmac, hash, timingSafeEqual } from 'node:crypto';

/** A secret of the host under which links are sealed. */
export interface AuditKey {
  /** Stored beside every seal; it must not tell the key. */
  readonly id: string;
  /** 32 bytes. */
  readonly key: Buffer;
}

/** A row of the audit log with everything that is in it. */
export interface LoggedRow {
  readonly seq: number;
  /** Microseconds since 1970. */
  readonly at_us: number;
  readonly actor: string;
  readonly actor_name: string;
  readonly via: string;
  readonly action: string;
  readonly target_type: string;
  readonly target_id: string;
  readonly reason: string | null;
  /** As Postgres prints it: its order of keys is its own, and always the same. */
  readonly details: string;
  readonly correlation_id: string;
}

/** What the first link goes on from. */
export const beforeFirst: Buffer = Buffer.alloc(32);

/** The hash of a row as the `n`th: it covers the row, its place, and by `previous` every row before it. */
export function linkHash(previous: Buffer, n: number, row: LoggedRow): Buffer {
  return hash('sha256', `${previous.toString('hex')}\n${n}\n${contentOf(row)}`, 'buffer');
}

/** One text for each content: a list, so that no value can pass for a part of its neighbour. */
function contentOf(row: LoggedRow): string {
  const { seq, at_us, actor, actor_name, via, action, target_type, target_id, reason, details, correlation_id } = row;
  const act = [actor, actor_name, via, action, target_type, target_id, reason, details, correlation_id];
  return JSON.stringify([seq, at_us, ...act]);
}

/** What nobody without the key can make of a hash. */
export function sealOf({ key }: AuditKey, link: Buffer): Buffer {
  return createHmac('sha256', key).update(link).digest();
}

export type SealVerdict = 'valid' | 'invalid' | 'absent' | 'unknown_key';

/** Judges the seal of a link by the keys at hand. */
export function judgeSeal(
  keys: readonly AuditKey[],
  { hash: link, seal, key_id }: { hash: Buffer; seal: Buffer | null; key_id: string | null },
): SealVerdict {
  if (seal === null || key_id === null) return 'absent';
  const key = keys.find(({ id }) => id === key_id);
  if (!key) return 'unknown_key';
  const expected = sealOf(key, link);
  return seal.length === expected.length && timingSafeEqual(seal, expected) ? 'valid' : 'invalid';
}
