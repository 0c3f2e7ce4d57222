import type { Database } from '../postgres/index.ts';
import type { AuditAnchor } from './anchor-line.ts';
import { type AuditKey, beforeFirst, judgeSeal, linkHash } from './chain.ts';
import type { AuditFault, AuditVerdict } from './contract.ts';
import {
  firstDeletedPending,
  firstStray,
  type Link,
  readHead,
  readLastSeq,
  readPendingCount,
  readWalk,
  type WalkedLink,
} from './queries.ts';
import { homeOf } from './home.ts';

export interface VerifyOptions {
  /** Those of the host. With none, seals are not judged. */
  readonly keys: readonly AuditKey[];
  /** Heads that were written down elsewhere before this began. */
  readonly anchors: readonly AuditAnchor[];
  /** Rows of one statement. Default 1,000. */
  readonly pageSize?: number;
  /** Ends it early: what was aborted throws. */
  readonly signal?: AbortSignal;
}

/**
 * Reads the whole chain beside the audit log, in pages, and names the first thing that is wrong with either. Never writes.
 * What happens meanwhile is not looked at: rows appended later have their turn next time.
 */
export async function verifyAudit(db: Database, options: VerifyOptions): Promise<AuditVerdict> {
  const begunAt = performance.now();
  const head = await readHead(db);
  const { checked, fault: inChain } = await walk(db, head?.n ?? 0, options);
  const fault = inChain ?? (await faultBeyond(db, head, options.anchors)) ?? (await faultBeside(db));
  const pending = await readPendingCount(db);
  const newest = options.anchors.at(-1);
  return {
    ok: fault === undefined,
    fault: fault ?? null,
    checked,
    sealed: options.keys.length > 0,
    head: head ? { n: head.n, seq: head.seq, hash: head.hash.toString('hex') } : null,
    pending: { count: pending.count, oldest_at: pending.oldest_at?.toISOString() ?? null },
    anchor: newest ? { count: options.anchors.length, n: newest.n, at: newest.at } : null,
    duration_ms: Math.round(performance.now() - begunAt),
  };
}

/** Where a walk along the chain has come to. */
interface Position {
  readonly n: number;
  readonly hash: Buffer;
  /** First of the links at the end whose key is not known: one sealed by a known key after them vouches for them. */
  readonly unknownFrom: number | undefined;
}

async function walk(
  db: Database,
  last: number,
  options: VerifyOptions,
): Promise<{ checked: number; fault?: AuditFault }> {
  const { pageSize = 1_000, anchors, signal } = options;
  const anchored = Map.groupBy(anchors, ({ n }) => n);
  let position: Position = { n: 0, hash: beforeFirst, unknownFrom: undefined };
  while (position.n < last) {
    signal?.throwIfAborted();
    const page = await readWalk(db, { after: position.n, last, limit: pageSize });
    for (const link of page) {
      const fault = await faultOf(db, { link, position, keys: options.keys, anchors: anchored.get(link.n) ?? [] });
      if (fault) return { checked: position.n, fault };
      position = after(position, link, options.keys);
    }
    if (page.length === 0) return { checked: position.n, fault: missing(position.n + 1, null, 'its link was deleted') };
  }
  const { n, unknownFrom } = position;
  if (unknownFrom === undefined) return { checked: n };
  const what =
    'it and all after it are sealed by a key that is not given: the host has neither that key nor one before';
  return { checked: n, fault: { kind: 'unsealed', n: unknownFrom, seq: null, what } };
}

function after(position: Position, link: Link, keys: readonly AuditKey[]): Position {
  const isUnknown = keys.length > 0 && judgeSeal(keys, link) === 'unknown_key';
  return { n: link.n, hash: link.hash, unknownFrom: isUnknown ? (position.unknownFrom ?? link.n) : undefined };
}

interface Step {
  readonly link: WalkedLink;
  readonly position: Position;
  readonly keys: readonly AuditKey[];
  readonly anchors: readonly AuditAnchor[];
}

/** What is wrong with one link and its row, if anything. */
async function faultOf(db: Database, { link, position, keys, anchors }: Step): Promise<AuditFault | undefined> {
  const { n, seq } = link;
  if (n !== position.n + 1) return missing(position.n + 1, null, 'its link was deleted');
  if (!link.logged) return missing(n, seq, 'the row was deleted');
  if (!linkHash(position.hash, n, link).equals(link.hash)) {
    const home = await homeOf(db, link);
    if (home === undefined) return { kind: 'edited', n, seq, what: 'it is not what was linked' };
    return { kind: 'swapped', n, seq, what: `it holds what was linked as number ${home}` };
  }
  const verdict = keys.length === 0 ? 'valid' : judgeSeal(keys, link);
  if (verdict === 'invalid' || verdict === 'absent') {
    const what = verdict === 'absent' ? 'it has no seal' : 'its seal is not of the key that it names';
    return { kind: 'unsealed', n, seq, what: `${what}: whoever linked it, or wrote it anew, did not have the key` };
  }
  const other = anchors.find(({ hash }) => hash !== link.hash.toString('hex'));
  return other && restored(n, `at ${other.at} another row was anchored in its place`);
}

const missing = (n: number | null, seq: number | null, what: string): AuditFault => ({ kind: 'missing', n, seq, what });
const restored = (n: number, what: string): AuditFault => ({
  kind: 'restored',
  n,
  seq: null,
  what: `${what}: an older database was restored, or the chain was written anew`,
});

/** What the anchors know of and the chain does not reach. */
async function faultBeyond(
  db: Database,
  head: Link | undefined,
  anchors: readonly AuditAnchor[],
): Promise<AuditFault | undefined> {
  const at = head?.n ?? 0;
  const farthest = anchors.reduce<AuditAnchor | undefined>(
    (most, one) => (one.n > (most?.n ?? at) ? one : most),
    undefined,
  );
  if (!farthest) return undefined;
  const known = `the chain ends at ${at}, and at ${farthest.at} it had ${farthest.n} rows`;
  const lastSeq = await readLastSeq(db);
  if (lastSeq !== undefined && lastSeq < farthest.seq) return restored(at + 1, known);
  return { kind: 'tail_cut', n: at + 1, seq: null, what: `${known}: the last ${farthest.n - at} or more were deleted` };
}

/** Rows outside the chain. */
async function faultBeside(db: Database): Promise<AuditFault | undefined> {
  const deleted = await firstDeletedPending(db);
  if (deleted !== undefined) return missing(null, deleted, 'the row was deleted before it was linked');
  const stray = await firstStray(db);
  if (stray === undefined) return undefined;
  const what =
    'it has no link and waits for none: it was written, or its link deleted, past the triggers of the tables';
  return { kind: 'not_linked', n: null, seq: stray, what };
}
