import type { z } from 'zod';
import { readStock, type Stock } from '../dead-letters/index.ts';
import { type Database, type Queryable, sql } from '../postgres/index.ts';
import type { FailedSets, QueueRegistry, RedisQueues } from '../queues/index.ts';
import type { captureProof, proofRow } from './contract.ts';
import { type ProbeResult, readProbes } from './probe-results.ts';
import { countUncaptured, readFailed, type Unjudged } from './uncaptured.ts';

export type CaptureProof = z.infer<typeof captureProof>;
type ProofRow = z.infer<typeof proofRow>;

export interface ProofDeps {
  readonly db: Database;
  readonly registry: QueueRegistry;
  readonly queues: RedisQueues;
  readonly failedSets: FailedSets;
}

/** A gap younger than this is work in progress, in s. */
const settledAfterS = 10;

/**
 * Compares what failed with what was captured, for each queue. What Postgres knows is read in one snapshot, so that a capture under way
 * makes no gap; what only Redis knows is read before it. Throws when Postgres is away.
 */
export async function readProof(deps: ProofDeps): Promise<CaptureProof> {
  const failed = await readFailed(deps).catch(() => undefined);
  return deps.db.transaction((tx) => proofOf(tx, deps.registry, failed), {
    readOnly: true,
    isolation: 'repeatable read',
  });
}

async function proofOf(tx: Queryable, registry: QueueRegistry, failed: Unjudged[] | undefined): Promise<CaptureProof> {
  const deaths = await readDeaths(tx);
  const stock = await readStock(tx);
  const uncaptured = await countUncaptured(tx, failed ?? []);
  const probes = await readProbes(tx);
  const names = new Set([...registry.names, ...deaths.keys(), ...stock.map(({ queue }) => queue)]);
  const rows: ProofRow[] = [];
  for (const name of [...names].sort()) {
    const inRedis = uncaptured.get(name);
    const row = rowOf({ name, deaths: deaths.get(name), stock, probe: probes.get(name), inRedis: inRedis?.count ?? 0 });
    const ages = row.gap === 0 ? [] : [await oldestGap(tx, name), inRedis?.oldest_s ?? null];
    rows.push({ ...row, oldest_gap_s: oldestOf(ages) });
  }
  return {
    ok: rows.every(isWhole),
    gap: rows.reduce((sum, { gap }) => sum + gap, 0),
    as_of: new Date().toISOString(),
    counted_from: failed ? 'redis' : 'postgres',
    rows,
  };
}

interface Deaths {
  failed: number;
  capture_errors: number;
}

interface RowParts {
  readonly name: string;
  readonly deaths: Deaths | undefined;
  readonly stock: readonly Stock[];
  readonly probe: ProbeResult | undefined;
  readonly inRedis: number;
}

function rowOf({ name, deaths, stock, probe, inRedis }: RowParts): ProofRow {
  const { captured, resolved, discarded, open, source } = stock.find(({ queue }) => queue === name) ?? nothing;
  const failed = (deaths?.failed ?? 0) + inRedis;
  return {
    name,
    source,
    failed,
    captured,
    resolved,
    discarded,
    open,
    gap: failed - captured,
    oldest_gap_s: null,
    capture_errors: deaths?.capture_errors ?? 0,
    probe: probe ?? null,
  };
}

const nothing = { captured: 0, resolved: 0, discarded: 0, open: 0, source: 'queue' as const };

/** True also for a gap that may close by itself yet. A gap nobody can date is none of those. */
function isWhole({ gap, oldest_gap_s }: ProofRow): boolean {
  return gap === 0 || (oldest_gap_s !== null && oldest_gap_s < settledAfterS);
}

function oldestOf(ages: readonly (number | null)[]): number | null {
  const known = ages.filter((age) => age !== null);
  return known.length === 0 ? null : Math.round(Math.max(...known) * 10) / 10;
}

async function readDeaths(tx: Queryable): Promise<Map<string, Deaths>> {
  const { rows } = await tx.query<Deaths & { queue: string }>(sql`
    select queue, sum(deaths) as failed, sum(capture_errors) as capture_errors from ops.job_death group by queue`);
  return new Map(rows.map(({ queue, ...deaths }) => [queue, deaths]));
}

/** Dead runs that are looked at for one without a letter: the newest of the last 30 days. */
const newestDead = 200_000;

/** Age in s of the oldest death without a letter. Asked only when there is a gap, for it reads the queue's runs of 30 days: 80 ms at 200,000. */
async function oldestGap(tx: Queryable, queue: string): Promise<number | null> {
  const { rows } = await tx.query<{ age_s: number | null }>(sql`
    select extract(epoch from clock_timestamp() - min(r.died_at))::float8 as age_s
    from (select root_key, died_at, generation from ops.job_run
          where queue = ${queue} and died_at > now() - interval '30 days' order by died_at desc limit ${newestDead}) r
    where r.generation = 0
      and not exists (select from ops.dead_letter_queue d
                      where d.source = 'queue' and d.queue_name = ${queue} and d.root_key = r.root_key)`);
  return rows[0]?.age_s ?? null;
}
