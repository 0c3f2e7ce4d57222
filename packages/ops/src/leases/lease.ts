import { type Database, sql } from '../postgres/index.ts';

/** A right that one holder at a time has. It saves double work; correctness never rests on it. */
export interface Lease {
  /** True while this process may act as the holder; takes or renews the lease when that is due. */
  hold(): Promise<boolean>;
  /** Gives the lease up, so that another holder need not wait for its end. */
  resign(): Promise<void>;
}

export interface LeaseOptions {
  readonly name: string;
  /** The process's id. */
  readonly holder: string;
  /** Default 15,000 ms. */
  readonly ttlMs?: number;
  /** Default 5,000 ms, or a third of `ttlMs` when that is shorter. */
  readonly renewEveryMs?: number;
  readonly onAcquired?: (term: number) => void;
  readonly onLost?: () => void;
}

/** How much earlier than Postgres the holder stops trusting its lease, in ms: room for a slow request. */
const safetyMs = 5_000;

export function openLease(db: Database, options: LeaseOptions): Lease {
  const { name, holder, ttlMs = 15_000, renewEveryMs = Math.min(5_000, ttlMs / 3) } = options;
  let term: number | undefined;
  let trustedUntil = 0;
  let renewAt = 0;
  const lose = () => {
    if (term !== undefined) options.onLost?.();
    term = undefined;
    trustedUntil = 0;
  };
  return {
    async hold() {
      // Time is taken before the request: the lease is trusted from then, whatever the answer's delay.
      const now = performance.now();
      if (now < renewAt && now < trustedUntil) return true;
      const granted = await acquire(db, { name, holder, ttlMs });
      if (granted === undefined) {
        lose();
        return false;
      }
      if (term === undefined) options.onAcquired?.(granted);
      term = granted;
      renewAt = now + renewEveryMs;
      trustedUntil = now + ttlMs - Math.min(safetyMs, ttlMs / 3);
      return performance.now() < trustedUntil;
    },
    async resign() {
      if (term === undefined) return;
      await db.query(sql`
        update ops.lease set expires_at = clock_timestamp() where name = ${name} and holder = ${holder} and term = ${term}`);
      term = undefined;
      trustedUntil = 0;
    },
  };
}

/** Renews one's own lease or takes an expired one, with the next term. All times are the database's. */
async function acquire(
  db: Database,
  lease: { name: string; holder: string; ttlMs: number },
): Promise<number | undefined> {
  const { rows } = await db.query<{ term: number }>(sql`
    insert into ops.lease as l (name, holder, term, expires_at)
    values (${lease.name}, ${lease.holder}, 1, clock_timestamp() + ${lease.ttlMs} * interval '1 ms')
    on conflict (name) do update
      set holder = excluded.holder, expires_at = excluded.expires_at,
          term = case when l.holder = excluded.holder and l.expires_at > clock_timestamp() then l.term else l.term + 1 end
      where l.expires_at <= clock_timestamp() or l.holder = excluded.holder
    returning term`);
  return rows[0]?.term;
}
