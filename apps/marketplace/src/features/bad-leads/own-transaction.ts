import { setTimeout as wait } from 'node:timers/promises';
import { type Database, databaseFailure, Refusal, type Tx } from '@fmhl/ops';
import type { BulkResult } from './contract.ts';

/** Tries of one transaction in place. */
const most = 3;

/**
 * Runs one step of many in a transaction of its own, and again after a lock conflict or a commit whose end nobody heard: give it only
 * what changes nothing when it is repeated.
 */
export async function inOwnTransaction<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await db.transaction(work);
    } catch (error) {
      const failure = databaseFailure(error);
      if (tries >= most || (failure !== 'conflict' && failure !== 'ambiguous')) throw error;
      await wait(10 + Math.random() * 40 * tries);
    }
  }
}

/** Runs a step for each id, one after the other. A refusal is the result of its id; anything else ends the rest, to be asked for again. */
export async function eachInTurn(
  db: Database,
  ids: readonly string[],
  step: (tx: Tx, id: string) => Promise<{ changed: boolean }>,
): Promise<BulkResult[]> {
  const results: BulkResult[] = [];
  for (const id of new Set(ids)) {
    try {
      const { changed } = await inOwnTransaction(db, (tx) => step(tx, id));
      results.push({ id, ok: true, changed });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      results.push({ id, ok: false, changed: false, code: error.code });
    }
  }
  return results;
}
