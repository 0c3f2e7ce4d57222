import type { Lease } from '../leases/index.ts';
import type { Logger } from '../logging/index.ts';
import { type Loop, repeating } from '../loops/index.ts';
import type { Metrics } from '../metrics/index.ts';
import type { Database } from '../postgres/index.ts';
import { type AuditAnchor, readAnchors } from './anchor-line.ts';
import type { AnchorStore } from './anchor-store.ts';
import { type Link, readDatabaseIdentity, readHash, readHead } from './queries.ts';

export interface AnchorerDeps {
  readonly db: Database;
  readonly store: AnchorStore;
  readonly lease: Lease;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly everyMs: number;
  /** Pause between two looks whether an anchor is due, which is also the pause after a failure, in ms. Default 10,000, at most `everyMs`. */
  readonly checkEveryMs?: number;
  readonly now?: () => Date;
}

/**
 * Writes the head of the chain to a place outside the database, when the last one there is `everyMs` old. Before that it looks whether the
 * chain still holds what was written last; where it does not, the new line says which one it breaks with.
 */
export function openAnchorer(deps: AnchorerDeps): Loop {
  const { db, store, lease, log, metrics, everyMs, checkEveryMs = 10_000, now = () => new Date() } = deps;
  const succeededAt = metrics.gauge('audit_anchor_last_success_timestamp_seconds');
  const failures = metrics.counter('audit_anchor_failures_total');
  const faults = metrics.counter('audit_chain_faults_total');
  let last: AuditAnchor | undefined;
  let checkedAt: number | undefined;
  const anchor = async () => {
    last ??= readAnchors(await store.read()).at(-1);
    const at = now();
    checkedAt ??= last && new Date(last.at).getTime();
    if (checkedAt !== undefined && at.getTime() - checkedAt < everyMs) return;
    const broken = last && !(await holds(db, last)) ? last : undefined;
    if (broken) {
      faults.labels({ kind: 'anchor_differs' }).inc();
      log.error('audit_chain_broken', new Error('the chain is not the one that was anchored'), { n: broken.n });
    }
    const head = await readHead(db);
    // The first row need not wait an hour for its first anchor.
    if (!head) return;
    // Nothing to write where nothing was linked since.
    if (broken || head.n !== last?.n) last = await writeHead({ db, store, head, broken }, at);
    checkedAt = at.getTime();
    succeededAt.set(at.getTime() / 1_000);
  };
  return repeating({
    name: 'audit-anchorer',
    everyMs: Math.min(everyMs, checkEveryMs),
    pauseAfterErrorMs: Math.min(everyMs, checkEveryMs),
    onError: (error) => {
      failures.inc();
      log.error('audit_anchor_failed', error);
    },
    async runOnce() {
      if (await lease.hold()) await anchor();
      // Another process may have written since.
      else last = checkedAt = undefined;
      return { more: false };
    },
  });
}

async function holds(db: Database, { n, hash }: AuditAnchor): Promise<boolean> {
  return (await readHash(db, n))?.toString('hex') === hash;
}

async function writeHead(
  { db, store, head, broken }: { db: Database; store: AnchorStore; head: Link; broken: AuditAnchor | undefined },
  at: Date,
): Promise<AuditAnchor> {
  const { n, seq, hash } = head;
  const place = { n, seq, hash: hash.toString('hex') };
  const database = await readDatabaseIdentity(db);
  const anchor = { ...place, at: at.toISOString(), database, ...(broken && { breaks: broken.n }) };
  await store.append(JSON.stringify(anchor));
  return anchor;
}
