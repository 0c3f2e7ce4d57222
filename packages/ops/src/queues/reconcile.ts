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
  run_key: string;
  started: number;
  dispatches: number;
}

/**
 * One pass over all open runs: those handed over and absent from Redis become undispatched again.
 * A finished run is never handed over again: its verdict is committed before Redis forgets the job,
 * and the statement that returns a run looks at the verdict once more.
 */
export async function reconcileOnce(deps: ReconcileDeps, signal: AbortSignal): Promise<ReconcileResult> {
  let result: ReconcileResult = { checked: 0, returned: 0, lost: 0 };
  for (const queue of deps.registry.names) {
    for (let after = ''; !signal.aborted; ) {
      const page = await openRuns(deps, queue, after);
      result = add(result, await reconcilePage(deps, queue, page));
      const last = page.at(-1);
      if (!last || page.length < pageSize) break;
      after = last.run_key;
    }
  }
  return result;
}

async function openRuns({ db, graceMs }: ReconcileDeps, queue: string, after: string): Promise<OpenRun[]> {
  const { rows } = await db.query<OpenRun>(sql`
    select r.run_key, r.started, o.dispatches
    from ops.job_run r join ops.job_outbox o using (run_key)
    where r.queue = ${queue} and r.state = 'enqueued' and r.run_key > ${after}
      and o.dispatched_at < clock_timestamp() - ${graceMs} * interval '1 ms'
    order by r.run_key
    limit ${pageSize}`);
  return rows;
}

async function reconcilePage(deps: ReconcileDeps, queue: string, page: readonly OpenRun[]): Promise<ReconcileResult> {
  if (page.length === 0) return { checked: 0, returned: 0, lost: 0 };
  const absent = new Set(await deps.redis.absent(queue, page.map((run) => run.run_key)));
  const gone = page.filter((run) => absent.has(run.run_key));
  const lost = gone.filter((run) => run.started === 0 && run.dispatches >= mostDispatches);
  for (const run of lost) await deps.onLost(run.run_key, queue);
  const again = gone.filter((run) => !lost.includes(run));
  await deps.failpoint('reconcile.before_return');
  const returned = await returnToDispatcher(deps.db, again.map((run) => run.run_key));
  return { checked: page.length, returned, lost: lost.length };
}

async function returnToDispatcher(db: Database, runKeys: readonly string[]): Promise<number> {
  if (runKeys.length === 0) return 0;
  const { rowCount } = await db.query(sql`
    update ops.job_outbox o set dispatched_at = null
    from ops.job_run r
    where o.run_key = any (${runKeys}::text[]) and r.run_key = o.run_key and r.state = 'enqueued'`);
  db.wake('jobs');
  return rowCount;
}

function add(a: ReconcileResult, b: ReconcileResult): ReconcileResult {
  return { checked: a.checked + b.checked, returned: a.returned + b.returned, lost: a.lost + b.lost };
}
