import type { Lease } from '../leases/index.ts';
import type { Logger } from '../logging/index.ts';
import { type Loop, repeating } from '../loops/index.ts';
import type { Metrics } from '../metrics/index.ts';
import type { Database, Tx } from '../postgres/index.ts';
import { type AuditKey, beforeFirst, judgeSeal, linkHash, type LoggedRow, sealOf } from './chain.ts';
import {
  insertLinks,
  isAnyPending,
  type Link,
  lockChain,
  type PendingRow,
  readHash,
  readHead,
  readPending,
} from './queries.ts';

const batchSize = 1_000;
/**
 * Rows the loop links in one pass, so that it takes little from a bulk action that writes faster than that: just under 1,000 a
 * second, which take this process 5 % of a core.
 */
const rowsAPass = 500;

/** The newest link was not made with a key of this host: going on from it would vouch for what somebody else wrote. */
export class ForeignHead extends Error {
  override name = 'ForeignHead';
}

export interface LinkDeps {
  readonly db: Database;
  /** Those of the host, the current one first; none make a chain without seals. */
  readonly keys: readonly AuditKey[];
  /** Most rows of one transaction. Default 1,000. */
  readonly limit?: number;
  /** Id of a key that the host does not have and whose head is gone on from all the same. Default none. */
  readonly adopted?: string;
}

/**
 * Gives committed rows of the audit log their places in the chain, in one short transaction. Answers the head after it.
 * Throws {@link ForeignHead} rather than go on from a link that no key of the host has sealed.
 */
export async function linkOnce(deps: LinkDeps): Promise<{ linked: number; more: boolean; head?: Link }> {
  const { db, keys, limit = batchSize, adopted } = deps;
  if (!(await isAnyPending(db))) return { linked: 0, more: false };
  return db.transaction(async (tx) => {
    await lockChain(tx);
    const head = await readHead(tx);
    demandOwnHead(head, keys, adopted);
    const { rows, more } = await nextPending(tx, limit);
    const unlinked = rows.filter(({ is_linked }) => !is_linked);
    const links = linksOf(unlinked, head, keys[0]);
    const settled = rows.map(({ seq }) => seq);
    if (settled.length > 0) await insertLinks(tx, links, settled);
    const last = links.at(-1) ?? head;
    return { linked: links.length, more, ...(last && { head: last }) };
  });
}

/** Passes over what waits without being there: that stays, as the trace of a deletion, and holds up nobody. */
async function nextPending(tx: Tx, limit: number): Promise<{ rows: PendingRow[]; more: boolean }> {
  for (let after = 0; ; ) {
    const page = await readPending(tx, after, limit);
    const rows = page.filter(({ is_logged }) => is_logged);
    const more = page.length === limit;
    if (rows.length > 0 || !more) return { rows, more };
    after = page.at(-1)?.seq ?? after;
  }
}

/** A host goes on from what it sealed itself; one without a key, from what nobody has sealed. Throws {@link ForeignHead}. */
export function demandOwnHead(head: Link | undefined, keys: readonly AuditKey[], adopted?: string): void {
  if (!head) return;
  const verdict = judgeSeal(keys, head);
  if (verdict === (keys.length > 0 ? 'valid' : 'absent')) return;
  if (verdict === 'unknown_key' && head.key_id === adopted) return;
  throw new ForeignHead(`link ${head.n} is not sealed by a key of this host (${verdict})`);
}

function linksOf(rows: readonly LoggedRow[], head: Link | undefined, key: AuditKey | undefined): Link[] {
  let previous = head?.hash ?? beforeFirst;
  let n = head?.n ?? 0;
  return rows.map((row) => {
    n += 1;
    previous = linkHash(previous, n, row);
    return { n, seq: row.seq, hash: previous, seal: key ? sealOf(key, previous) : null, key_id: key?.id ?? null };
  });
}

export interface LinkerDeps extends LinkDeps {
  readonly lease: Lease;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly everyMs: number;
}

/**
 * Links rows soon after their commit, some hundreds a pass. Until then a row can be changed by who may write tables, and nobody would know.
 */
export function openLinker(deps: LinkerDeps): Loop {
  const { lease, log, metrics, everyMs } = deps;
  const linkedRows = metrics.counter('audit_rows_linked_total');
  const faults = metrics.counter('audit_chain_faults_total');
  let known: Link | undefined;
  return repeating({
    name: 'audit-linker',
    everyMs,
    onError: (error) => {
      if (error instanceof ForeignHead) faults.labels({ kind: 'foreign_head' }).inc();
      log.error(error instanceof ForeignHead ? 'audit_chain_broken' : 'loop_failed', error, { loop: 'audit-linker' });
    },
    async runOnce() {
      if (!(await lease.hold())) {
        known = undefined;
        return { more: false };
      }
      if (known && !(await readHash(deps.db, known.n))?.equals(known.hash)) {
        faults.labels({ kind: 'head_changed' }).inc();
        log.error('audit_chain_broken', new Error('a link that was made is gone or another'), { n: known.n });
        known = undefined;
      }
      const { linked, head = known } = await linkOnce({ limit: rowsAPass, ...deps });
      if (linked > 0) linkedRows.inc(linked);
      known = head;
      return { more: false };
    },
  });
}
