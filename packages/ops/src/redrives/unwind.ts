import { type Logger, runWithContext } from '../logging/index.ts';
import type { Database, Tx } from '../postgres/index.ts';
import type { RedisQueues } from '../queues/index.ts';
import { cancelItems, isAnyOut, recallItems, type Recalled, settleStrays } from './item-queries.ts';
import { changeRedrive, lockRedrive, type Redrive } from './queries.ts';

export interface UnwindDeps {
  readonly db: Database;
  readonly queues: Pick<RedisQueues, 'remove'>;
  readonly log: Logger;
}

const cancelBatch = 10_000;
const recallBatch = 500;

/** One step of an abort: cancels what was not sent, takes back what has not begun if that was asked, and ends when all is decided. */
export async function unwind(deps: UnwindDeps, id: string): Promise<{ more: boolean }> {
  const { recalled, more } = await deps.db.transaction(async (tx): Promise<Unwound> => {
    const redrive = await lockRedrive(tx, id);
    if (redrive?.state !== 'aborting') return { recalled: [], more: false };
    return runWithContext({ correlationId: redrive.correlation_id }, () => unwindOnce(tx, deps, redrive));
  });
  await forget(deps, recalled);
  return { more };
}

interface Unwound {
  readonly recalled: Recalled[];
  readonly more: boolean;
}

async function unwindOnce(tx: Tx, { log }: UnwindDeps, { id, recall, included }: Redrive): Promise<Unwound> {
  if ((await cancelItems(tx, id, cancelBatch)) > 0) return { recalled: [], more: true };
  const recalled = recall ? await recallAll(tx, id) : [];
  await settleStrays(tx, id, 1_000);
  if (await isAnyOut(tx, id)) {
    if (recall) await changeRedrive(tx, id, { recall: false });
    return { recalled, more: false };
  }
  await changeRedrive(tx, id, { state: 'aborted', recall: false });
  tx.afterCommit(() => log.info('redrive_finished', { redrive_id: id, state: 'aborted', items: included }));
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
