import type { Database } from '../postgres/index.ts';
import type { AuditAnchor } from './anchor-line.ts';
import { type AuditKey, beforeFirst, judgeSeal, linkHash } from './chain.ts';
import { adoptionAction, type AuditFault, type AuditVerdict } from './contract.ts';
import {
  firstDeletedPending,
  firstStray,
  type Link,
  readHead,
  readLinks,
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
  /** Whether the host keeps anchors, so that it is a fault to have none. Default false. */
  readonly isAnchored?: boolean;
  /** Rows of one statement. Default 2,000. */
  readonly pageSize?: number;
  /** Takes the chain up to its last so many links as it is, and looks at those and at the rows since. Default all. */
  readonly newest?: number;
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
  const adoptions: Adoption[] = [];
  const begin = await beginOf(db, head, options.newest);
  const { checked, fault: inChain } = await walk(db, head?.n ?? 0, { ...options, begin }, adoptions);
  const inTables = inChain ?? (await faultBeyond(db, head, options.anchors)) ?? (await faultBeside(db, begin?.seq));
  const fault = inTables ?? (head && faultOfAnchors(options));
  const pending = await readPendingCount(db);
  const newest = options.anchors.at(-1);
  return {
    ok: fault === undefined,
    fault: fault ?? null,
    checked: Math.max(0, checked - (begin?.n ?? 0)),
    sealed: options.keys.length > 0,
    head: head ? { n: head.n, seq: head.seq, hash: head.hash.toString('hex') } : null,
    pending: { count: pending.count, oldest_at: pending.oldest_at?.toISOString() ?? null },
    anchor: newest ? { count: options.anchors.length, n: newest.n, at: newest.at } : null,
    adoptions,
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

/** The link before the first that is looked at. */
async function beginOf(db: Database, head: Link | undefined, newest: number | undefined): Promise<Link | undefined> {
  if (newest === undefined || !head || head.n <= newest) return undefined;
  const [link] = await readLinks(db, head.n - newest - 1, 1);
  return link;
}

type Adoption = AuditVerdict['adoptions'][number];
type Walked = { readonly checked: number; readonly fault?: AuditFault };

async function walk(
  db: Database,
  last: number,
  options: VerifyOptions & { readonly begin: Link | undefined },
  adoptions: Adoption[],
): Promise<Walked> {
  const { pageSize = 2_000, keys, signal, begin } = options;
  const anchors = Map.groupBy(options.anchors, ({ n }) => n);
  let position: Position = { n: begin?.n ?? 0, hash: begin?.hash ?? beforeFirst, unknownFrom: undefined };
  while (position.n < last) {
    signal?.throwIfAborted();
    const page = await readWalk(db, { after: position.n, to: Math.min(position.n + pageSize, last) });
    const { whole, fault } = follow(page, position, anchors);
    const sealed = judgeSeals(page.slice(0, whole), keys, position.unknownFrom);
    if (typeof sealed === 'object') return { checked: sealed.n - 1, fault: unsealed(sealed) };
    if (fault) return { checked: position.n + whole, fault: await named(db, fault, page[whole]) };
    adoptions.push(...page.flatMap(adoptionsOf));
    const end = page.at(-1) ?? position;
    position = { n: end.n, hash: end.hash, unknownFrom: sealed };
  }
  const { n, unknownFrom } = position;
  if (unknownFrom === undefined) return { checked: n };
  const what =
    'it and all after it are sealed by a key that is not given: the host has neither that key nor one before';
  return { checked: n, fault: { kind: 'unsealed', n: unknownFrom, seq: null, what } };
}

const adoptionsOf = (link: WalkedLink): Adoption[] =>
  link.logged && link.action === adoptionAction ? [{ n: link.n, at: new Date(link.at_us / 1_000).toISOString() }] : [];

/** How many links of a page are what their rows and the hash before them make of them, and what is wrong with the one after those. */
function follow(
  page: readonly WalkedLink[],
  { n: before, hash }: Position,
  anchors: ReadonlyMap<number, readonly AuditAnchor[]>,
): { whole: number; fault?: AuditFault } {
  let previous = hash;
  for (const [at, link] of page.entries()) {
    const n = before + at + 1;
    if (link.n !== n) return { whole: at, fault: missing(n, null, 'its link was deleted') };
    if (!link.logged) return { whole: at, fault: missing(n, link.seq, 'the row was deleted') };
    if (!linkHash(previous, n, link).equals(link.hash)) {
      return { whole: at, fault: { kind: 'edited', n, seq: link.seq, what: 'it is not what was linked' } };
    }
    const other = anchors.get(n)?.find((anchor) => anchor.hash !== link.hash.toString('hex'));
    if (other) return { whole: at + 1, fault: restored(n, `at ${other.at} another row was anchored in its place`) };
    previous = link.hash;
  }
  if (page.length > 0) return { whole: page.length };
  return { whole: 0, fault: missing(before + 1, null, 'its link was deleted') };
}

/**
 * A seal vouches for every link before it, so that those after the last valid one are all there is to judge: answers the first of them that
 * was not sealed by the host, else the first whose key is not known.
 */
function judgeSeals(
  links: readonly Link[],
  keys: readonly AuditKey[],
  unknownFrom: number | undefined,
): Link | number | undefined {
  if (keys.length === 0) return undefined;
  const lastValid = links.findLastIndex((link) => judgeSeal(keys, link) === 'valid');
  const rest = links.slice(lastValid + 1);
  const known = rest.find((link) => judgeSeal(keys, link) !== 'unknown_key');
  return known ?? (lastValid === -1 ? unknownFrom : undefined) ?? rest[0]?.n;
}

function unsealed({ n, seq, seal }: Link): AuditFault {
  const what = seal === null ? 'it has no seal' : 'its seal is not of the key that it names';
  return { kind: 'unsealed', n, seq, what: `${what}: whoever linked it, or wrote it anew, did not have the key` };
}

/** What is not what was linked may be what was linked elsewhere. */
async function named(db: Database, fault: AuditFault, link: WalkedLink | undefined): Promise<AuditFault> {
  const home = fault.kind === 'edited' && link?.logged ? await homeOf(db, link) : undefined;
  return home === undefined ? fault : { ...fault, kind: 'swapped', what: `it holds what was linked as number ${home}` };
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

/** Rows outside the chain, from this one on. */
async function faultBeside(db: Database, from = 0): Promise<AuditFault | undefined> {
  const deleted = await firstDeletedPending(db);
  if (deleted !== undefined) return missing(null, deleted, 'the row was deleted before it was linked');
  const stray = await firstStray(db, from);
  if (stray === undefined) return undefined;
  const what =
    'it has no link and waits for none: it was written, or its link deleted, past the triggers of the tables';
  return { kind: 'not_linked', n: null, seq: stray, what };
}

/** Without an anchor nobody can tell a chain that was written anew from the true one. */
function faultOfAnchors({ isAnchored = false, anchors }: VerifyOptions): AuditFault | undefined {
  if (!isAnchored || anchors.length > 0) return undefined;
  const what =
    'the place of the anchors shows none (the first comes some seconds after the first act): without one, a cut tail or a chain written anew cannot be seen';
  return { kind: 'no_anchor', n: null, seq: null, what };
}
