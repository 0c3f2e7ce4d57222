import type { Failpoint } from '../failpoints/index.ts';
import { type Database, sql } from '../postgres/index.ts';
import type { RedisQueues } from './bullmq.ts';
import type { QueueRegistry } from './registry.ts';

export interface ReconcileDeps {
  readonly db: Database;
  readonly redis: RedisQueues;
  readonly registry: QueueRegistry;
  readonly failpoint: Failpoint;
  /** Younger runs are left alone, in ms. */
  readonly graceMs: number;
  /** A run that was handed over too often without ever beginning. */
  readonly onLost: (runKey: string, queue: string) => Promise<void>;
}

export interface ReconcileResult {
  readonly checked: number;
  /** Runs that Redis had lost, offered to the dispatcher again. */
  readonly returned: number;
  readonly lost: number;
}

const pageSize = 5_000;
/** Hand-overs of a run that never began, after which it counts as lost. */
export const mostDispatches = 5;

interface OpenRun {
  id: number;
  run_key: string;
  started: number;
  dispatches: number;
}

/**
 * One pass over all open runs: those handed over which Redis does not hold become undispatched again. What Redis holds as failed is the
 * sweeper's: it is captured.
 * A finished run is never handed over again: its verdict, which removes its outbox row, is committed before Redis forgets the job.
 */
export async function reconcileOnce(deps: ReconcileDeps, signal: AbortSignal): Promise<ReconcileResult> {
  let result: ReconcileResult = { checked: 0, returned: 0, lost: 0 };
  for (const queue of deps.registry.names) {
    for (let after = 0; !signal.aborted; ) {
      const page = await openRuns(deps, queue, after);
      result = add(result, await reconcilePage(deps, queue, page));
      const last = page.at(-1);
      if (!last || page.length < pageSize) break;
      after = last.id;
    }
  }
  return result;
}

async function openRuns({ db, graceMs }: ReconcileDeps, queue: string, after: number): Promise<OpenRun[]> {
  const { rows } = await db.query<OpenRun>(sql`
    select o.id, o.run_key, r.started, o.dispatches
    from ops.job_outbox o join ops.job_run r using (run_key)
    where o.queue = ${queue} and o.id > ${after}
      and o.dispatched_at < clock_timestamp() - ${graceMs} * interval '1 ms'
    order by o.id
    limit ${pageSize}`);
  return rows;
}

async function reconcilePage(deps: ReconcileDeps, queue: string, page: readonly OpenRun[]): Promise<ReconcileResult> {
  if (page.length === 0) return { checked: 0, returned: 0, lost: 0 };
  const runs = new Map(page.map((run) => [run.run_key, run]));
  const gone = await deps.redis.lost(queue, [...runs.keys()]);
  const again: string[] = [];
  let lost = 0;
  for (const runKey of gone) {
    const run = runs.get(runKey);
    if (run?.started === 0 && run.dispatches >= mostDispatches) {
      await deps.onLost(runKey, queue);
      lost += 1;
      continue;
    }
    again.push(runKey);
  }
  await deps.failpoint('reconcile.before_return');
  return { checked: page.length, returned: await returnToDispatcher(deps.db, again), lost };
}

async function returnToDispatcher(db: Database, runKeys: readonly string[]): Promise<number> {
  if (runKeys.length === 0) return 0;
  const { rowCount } = await db.query(
    sql`update ops.job_outbox set dispatched_at = null where run_key = any (${runKeys}::text[])`,
  );
  db.wake('jobs');
  return rowCount;
}

function add(a: ReconcileResult, b: ReconcileResult): ReconcileResult {
  return { checked: a.checked + b.checked, returned: a.returned + b.returned, lost: a.lost + b.lost };
}
