import { type AnchorStore, type AuditAnchor, type AuditKey, readAnchors, verifyAudit } from '../audit/index.ts';
import { type ProofDeps, readProof } from '../dead-letter-report/index.ts';
import type { Database } from '../postgres/index.ts';
import { type Check, type Found, type Invariant, NotChecked, type Scope } from './invariant.ts';

export interface AuditDeps {
  readonly keys: readonly AuditKey[];
  /** Undefined where the host keeps no anchors. */
  readonly anchors: AnchorStore | undefined;
}

/** Postgres as it is now. The user of the process sees the transactions of others only as `pg_monitor`; its own are those that matter most. */
export const platformInvariants = ({ longestTransactionMs = 60_000 } = {}): readonly Invariant[] => [
  {
    name: 'P2',
    title: 'No transaction is open for over a minute, none is prepared, and vacuum keeps up with the tables',
    enforcedBy: 'time limits of the pool; settings of autovacuum for each busy table',
    next: 'select pg_terminate_backend(<id>) for a transaction nobody needs; vacuum (verbose) <table>',
    sql: `
      select 'open transaction' as what, pid::text as id, extract(epoch from clock_timestamp() - xact_start)::bigint as seconds,
             null::bigint as dead_rows
      from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
        and xact_start < clock_timestamp() - ${longestTransactionMs} * interval '1 ms'
      union all
      select 'prepared transaction', transaction::text, extract(epoch from clock_timestamp() - prepared)::bigint, null
      from pg_prepared_xacts where database = current_database()
      union all
      select 'dead rows', schemaname || '.' || relname, null, n_dead_tup from pg_stat_user_tables
      where n_dead_tup > 100000 and n_dead_tup > 0.2 * (n_dead_tup + n_live_tup)
        and greatest(last_autovacuum, last_vacuum, '-infinity') < clock_timestamp() - interval '10 minutes'`,
  },
];

/** Links of the audit chain that are read where not all are. */
const newestLinks = 5_000;

export function auditCheck(db: Database, { keys, anchors: store }: AuditDeps): Check {
  return {
    name: 'P1',
    title: 'The audit log is as it was written, up to what its anchors hold',
    enforcedBy: 'hash chain, seals and anchors; triggers and rights refuse changes',
    next: 'fmhl audit verify; keep the database and the anchors as they are, and find out who could write to it',
    isWindowed: true,
    async find({ since, timeoutMs, signal }: Scope): Promise<Found> {
      const anchors = await readAll(store);
      const verdict = await verifyAudit(db, {
        keys,
        anchors,
        isAnchored: store !== undefined,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        ...(since && { newest: newestLinks }),
      });
      if (!verdict.fault) return { rows: [], count: 0 };
      const { kind, n, seq, what } = verdict.fault;
      if (kind === 'no_anchor') throw new NotChecked('there is no anchor yet to hold the chain against');
      return { rows: [{ kind, n, seq, what }], count: 1 };
    },
  };
}

async function readAll(store: AnchorStore | undefined): Promise<readonly AuditAnchor[]> {
  try {
    return readAnchors((await store?.read()) ?? '');
  } catch {
    throw new NotChecked('the place of the anchors cannot be read');
  }
}

export function captureCheck(deps: ProofDeps): Check {
  return {
    name: 'D7',
    title: 'For each queue: failed = captured = resolved + discarded + open',
    enforcedBy: 'path, sweeper and reconciler capture what fails; a trigger counts each change of a letter',
    next: 'fmhl dlq proof: it names the gap, and repairs the capture',
    isWindowed: false,
    async find() {
      const { ok, rows, counted_from } = await readProof(deps);
      const gaps = ok ? [] : rows.filter(({ gap }) => gap !== 0);
      if (gaps.length === 0 && counted_from !== 'redis') throw new NotChecked('Redis does not answer');
      return {
        rows: gaps.map(({ name, failed, captured, gap }) => ({ queue: name, failed, captured, gap })),
        count: gaps.length,
      };
    },
  };
}
