import type { Actor } from '../audit/index.ts';
import type { Tx } from '../postgres/index.ts';
import { sql } from '../postgres/index.ts';
import { type Death, type DeathHooks, type Failure, writeVerdicts } from '../queues/index.ts';
import { captureDeaths, tellHooks } from './capture.ts';
import { closeLetters } from './close.ts';

const removed: Failure = {
  class: 'permanent',
  type: 'Removed',
  message: 'removed by an operator before it ran',
  stack: '',
  code: null,
};

interface Removal {
  readonly actor: Actor;
  readonly reason: string;
  readonly workerId: string;
  readonly queue: string;
  readonly hooks: DeathHooks;
}

/**
 * Ends a run that is not under way, with cause `removed` and a letter born discarded: it is counted, visible and restorable.
 * The hook of its queue is told of it once the letter is there, in the same transaction.
 * Undefined when an attempt is running, or the run is decided or unknown: the start and the removal race on one row, and one wins.
 */
export async function captureRemoved(
  tx: Tx,
  runKey: string,
  { actor, reason, workerId, queue, hooks }: Removal,
): Promise<{ letterId: string } | undefined> {
  const dying = { runKey, queue, cause: 'removed', failure: removed, idle: true } as const;
  // A retry that never ran says nothing new: its letter keeps the error it died of.
  const capture = async (_tx: Tx, deaths: readonly Death[]) => {
    await captureDeaths(
      tx,
      deaths.filter((one) => one.letterId === null),
    );
    await tellHooks(tx, deaths, hooks);
  };
  const [death] = await writeVerdicts(tx, [dying], { workerId, capture });
  if (!death) return undefined;
  const letterId = death.letterId ?? (await letterOf(tx, death));
  if (death.letterId !== null) await takeBack(tx, death.letterId, death.generation);
  await closeLetters(tx, [{ letterId }], { action: 'discard', actor, reason });
  return { letterId };
}

async function letterOf(tx: Tx, death: Death): Promise<string> {
  const { rows } = await tx.query<{ id: string }>(sql`
    select id from ops.dead_letter_queue
    where source = 'queue' and queue_name = ${death.queue} and root_key = ${death.rootKey}`);
  const id = rows[0]?.id;
  if (id === undefined) throw new TypeError(`run ${death.runKey} was not captured`);
  return id;
}

/** Its item of a redrive is cancelled, not failed. */
async function takeBack(tx: Tx, letterId: string, generation: number): Promise<void> {
  await tx.query(sql`
    with item as (
      update ops.redrive_item set outcome = 'cancelled', why = 'removed', decided_at = clock_timestamp()
      where letter_id = ${letterId}::uuid and generation = ${generation} and outcome = 'enqueued')
    update ops.dead_letter_queue set state = 'pending', version = version + 1
    where id = ${letterId}::uuid and generation = ${generation} and state = 'retrying'`);
}
