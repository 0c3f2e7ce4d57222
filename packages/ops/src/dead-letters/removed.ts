import type { Actor } from '../audit/index.ts';
import type { Tx } from '../postgres/index.ts';
import { sql } from '../postgres/index.ts';
import { type Failure, writeVerdicts } from '../queues/index.ts';
import { captureDeaths } from './capture.ts';
import { closeLetters } from './close.ts';

const removed: Failure = {
  class: 'permanent',
  type: 'Removed',
  message: 'removed by an operator before it ran',
  stack: '',
  code: null,
};

/**
 * Ends a run that is not under way, with cause `removed` and a letter born discarded: it is counted, visible and restorable.
 * Undefined when an attempt is running, or the run is decided or unknown: the start and the removal race on one row, and one wins.
 */
export async function captureRemoved(
  tx: Tx,
  runKey: string,
  { actor, reason, workerId, queue }: { actor: Actor; reason: string; workerId: string; queue: string },
): Promise<{ letterId: string } | undefined> {
  const deaths = await writeVerdicts(tx, [{ runKey, queue, cause: 'removed', failure: removed, idle: true }], workerId);
  const [death] = deaths;
  if (!death) return undefined;
  await captureDeaths(tx, deaths);
  const { rows } = await tx.query<{ id: string }>(
    sql`select id from ops.dead_letter_queue where source = 'queue' and run_key = ${runKey}
          and (id = ${death.letterId}::uuid or (queue_name = ${death.queue} and root_key = ${death.rootKey}))`,
  );
  const letterId = rows[0]?.id;
  if (letterId === undefined) return undefined;
  await closeLetters(tx, [{ letterId }], { action: 'discard', actor, reason });
  return { letterId };
}
