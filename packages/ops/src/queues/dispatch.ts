import type { Failpoint } from '../failpoints/index.ts';
import { type Database, prepared, sql, type Tx } from '../postgres/index.ts';
import { RedisTimeout } from '../redis/index.ts';
import type { Handover, RedisQueues } from './bullmq.ts';

export interface DispatchDeps {
  readonly db: Database;
  readonly redis: RedisQueues;
  readonly failpoint: Failpoint;
  /** Called after the commit that marked them, once per queue, with how many were handed over for the first time. */
  readonly onDispatched: (queue: string, count: number) => void;
  /** A row that Redis refuses alone; after five times the caller buries its run. */
  readonly onRefused: (runKey: string, queue: string, error: Error, refusals: number) => Promise<void>;
  /** A queue with so many waiting jobs gets no more. Default {@link mostWaiting}. */
  readonly mostWaiting?: number | undefined;
}

export interface DispatchResult {
  readonly dispatched: number;
  readonly refused: number;
  /** More rows may wait. */
  readonly more: boolean;
}

/** Rows offered to Redis in one pass. */
const batchSize = 500;
/** Above this many waiting jobs a queue gets no more: the backlog waits in Postgres, which makes a full Redis survivable. */
export const mostWaiting = 10_000;

/** Times Redis may refuse a row alone before its run dies. */
export const mostRefusals = 5;

interface OutboxRow {
  /** Where the row stands: true while it is locked. */
  place: string;
  run_key: string;
  queue: string;
  kind: string;
  envelope: string;
  max_attempts: number;
  priority: number;
  delay_ms: number;
  refusals: number;
  /** Hand-overs before this one: a run that Redis lost was counted then. */
  dispatches: number;
}

/**
 * Hands undispatched jobs to Redis, then marks them. Any number of dispatchers may run: rows are skipped while another has them.
 * Marked only after the whole call succeeded; what was added twice is one job, because ids are the run keys.
 * Throws when Redis or Postgres is away: the rows stay.
 */
export async function dispatchOnce(deps: DispatchDeps): Promise<DispatchResult> {
  const { db, redis, failpoint } = deps;
  return db.transaction(async (tx) => {
    const rows = await claimRows(tx, []);
    if (rows.length === 0) return { dispatched: 0, refused: 0, more: false };
    const full = await fullQueues(redis, rows, deps.mostWaiting ?? mostWaiting);
    // A full queue at the head must not starve the others behind it.
    const open = full.size === 0 ? rows : await claimRows(tx, [...full]);
    await failpoint('dispatch.before_add');
    const refused: Refused[] = [];
    for (const [queue, jobs] of byQueue(open)) {
      refused.push(...(await addAll(redis, queue, jobs)));
      await promoteKnown(redis, queue, jobs);
    }
    await failpoint('dispatch.after_add');
    const refusedKeys = new Set(refused.map(({ row }) => row.run_key));
    const added = open.filter((row) => !refusedKeys.has(row.run_key));
    await mark(tx, added);
    if (refused.length > 0) await countRefusals(tx, [...refusedKeys]);
    tx.afterCommit(() => {
      const fresh = added.filter((row) => row.dispatches === 0);
      for (const [queue, jobs] of byQueue(fresh)) deps.onDispatched(queue, jobs.length);
      for (const { row, error } of refused) void deps.onRefused(row.run_key, row.queue, error, row.refusals + 1);
    });
    return { dispatched: added.length, refused: refused.length, more: full.size === 0 && rows.length === batchSize };
  });
}

/** The run is looked up row by row: a planner that knows a short outbox from its last analysis would rather read all runs in order. */
async function claimRows(tx: Tx, skip: readonly string[]): Promise<OutboxRow[]> {
  const { rows } = await tx.query<OutboxRow>(
    prepared(
      'dispatch',
      sql`
      select o.ctid as place, o.run_key, o.queue, r.kind, o.envelope, r.max_attempts, r.priority, o.refusals, o.dispatches,
             greatest(0, ceil(extract(epoch from r.run_at - clock_timestamp()) * 1000))::bigint as delay_ms
      from ops.job_outbox o
      cross join lateral (
        select kind, max_attempts, priority, run_at from ops.job_run where run_key = o.run_key offset 0) r
      where o.dispatched_at is null and o.queue <> all (${skip}::text[])
      order by o.id
      limit ${batchSize}
      for update of o skip locked`,
    ),
  );
  return rows;
}

async function fullQueues(redis: RedisQueues, rows: readonly OutboxRow[], limit: number): Promise<Set<string>> {
  const names = [...new Set(rows.map((row) => row.queue))];
  const counts = await Promise.all(names.map((name) => redis.counts(name)));
  return new Set(names.filter((_name, at) => (counts[at]?.waiting ?? 0) >= limit));
}

function byQueue(rows: readonly OutboxRow[]): Map<string, OutboxRow[]> {
  return Map.groupBy(rows, (row) => row.queue);
}

interface Refused {
  readonly row: OutboxRow;
  readonly error: Error;
}

/** Adds rows; when Redis refuses the call for another reason than its own state, halves it until the bad rows stand alone. */
async function addAll(redis: RedisQueues, queue: string, rows: readonly OutboxRow[]): Promise<Refused[]> {
  try {
    await redis.add(queue, rows.map(handoverOf));
    return [];
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    if (isRedisAway(error)) throw error;
    const [only] = rows;
    if (rows.length === 1 && only) return [{ row: only, error }];
    const half = Math.ceil(rows.length / 2);
    return [...(await addAll(redis, queue, rows.slice(0, half))), ...(await addAll(redis, queue, rows.slice(half)))];
  }
}

/** A job that Redis knows keeps its delay when it is added again: one that an operator promoted is told so by itself. */
async function promoteKnown(redis: RedisQueues, queue: string, rows: readonly OutboxRow[]): Promise<void> {
  const due = rows.filter((row) => row.dispatches > 0 && row.delay_ms === 0);
  if (due.length > 0)
    await redis.promote(
      queue,
      due.map((row) => row.run_key),
    );
}

/** Throws for a text that is no JSON: workers cannot read past such a job. */
function handoverOf(row: OutboxRow): Handover {
  JSON.parse(row.envelope);
  return {
    runKey: row.run_key,
    kind: row.kind,
    envelope: row.envelope,
    attempts: row.max_attempts,
    priority: row.priority,
    delayMs: row.delay_ms,
  };
}

/** The connection, or Redis's own state (memory full, loading, read-only): no row is at fault. */
function isRedisAway(error: Error): boolean {
  if (error instanceof RedisTimeout) return true;
  return /^(OOM|LOADING|READONLY|MISCONF|NOREPLICAS|MASTERDOWN)|ECONN|ENOENT|EPIPE|Connection is closed|max retries|Command timed out|Stream isn't writeable/i.test(
    `${error.message} ${(error as { code?: string }).code ?? ''}`,
  );
}

/** Rows are named by their places, which nobody else can change now: to look each up by its key, and sort the keys before, is a third more. */
async function mark(tx: Tx, rows: readonly OutboxRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.query(
    prepared(
      'dispatched',
      sql`
      update ops.job_outbox set dispatched_at = clock_timestamp(), dispatches = dispatches + 1
      where ctid = any (${rows.map((row) => row.place)}::tid[])`,
    ),
  );
}

async function countRefusals(tx: Tx, runKeys: readonly string[]): Promise<void> {
  await tx.query(sql`update ops.job_outbox set refusals = refusals + 1 where run_key = any (${runKeys}::text[])`);
}
