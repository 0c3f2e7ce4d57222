import { type Logger, runWithContext } from '../logging/index.ts';
import type { Database, Tx } from '../postgres/index.ts';
import type { RedisQueues } from '../queues/index.ts';
import { cancelItems, hasItems, recallItems, type Recalled, settleStrays } from './item-queries.ts';
import { changeRedrive, lockRedrive } from './queries.ts';

export interface UnwindDeps {
  readonly db: Database;
  readonly queues: Pick<RedisQueues, 'remove'>;
  readonly log: Logger;
}

const cancelBatch = 10_000;
const recallBatch = 500;

/** One step of an abort: cancels what was not sent, takes back what has not begun if that was asked, and ends when all is decided. */
export async function unwind(deps: UnwindDeps, id: string): Promise<{ more: boolean }> {
  const { recalled, more } = await deps.db.transaction(async (tx) => {
    const redrive = await lockRedrive(tx, id);
    if (redrive?.state !== 'aborting') return { recalled: [], more: false };
    return runWithContext({ correlationId: redrive.correlation_id }, () => unwindOnce(tx, id, redrive.recall));
  });
  await forget(deps, recalled);
  return { more };
}

async function unwindOnce(tx: Tx, id: string, recall: boolean): Promise<{ recalled: Recalled[]; more: boolean }> {
  if ((await cancelItems(tx, id, cancelBatch)) > 0) return { recalled: [], more: true };
  const recalled = recall ? await recallAll(tx, id) : [];
  await settleStrays(tx, id, 1_000);
  if (!(await hasItems(tx, id, 'enqueued'))) await changeRedrive(tx, id, { state: 'aborted', recall: false });
  else if (recall) await changeRedrive(tx, id, { recall: false });
  return { recalled, more: false };
}

async function recallAll(tx: Tx, id: string): Promise<Recalled[]> {
  const all: Recalled[] = [];
  for (let after = 0; ; ) {
    const { recalled, last } = await recallItems(tx, id, after, recallBatch);
    all.push(...recalled);
    if (last === null) return all;
    after = last;
  }
}

/** Their verdict is committed: a worker that meets one before it is removed leaves it alone. */
async function forget({ queues, log }: UnwindDeps, recalled: readonly Recalled[]): Promise<void> {
  for (let at = 0; at < recalled.length; at += 100) {
    const page = recalled.slice(at, at + 100);
    const results = await Promise.allSettled(page.map(({ queue, run_key }) => queues.remove(queue, run_key)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) return log.warn('redrive_recall_incomplete', { error: String(failed.reason) });
  }
}
