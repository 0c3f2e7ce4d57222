import { setTimeout as wait } from 'node:timers/promises';
import type { Failpoint } from '../failpoints/index.ts';
import { type Database, databaseFailure, prepared, sql, type Tx } from '../postgres/index.ts';

/** A newer attempt of the run has started, or the run is decided: what this one did is rolled back. */
export class Fenced extends Error {
  override name = 'Fenced';
}

export interface CommitOptions {
  readonly db: Database;
  readonly runKey: string;
  /** The attempt's fence. */
  readonly started: number;
  readonly failpoint: Failpoint;
}

/** Tries of one transaction in place when it meets a lock conflict. */
const triesInPlace = 3;

/** Runs `work` and the verdict `done` in one commit. Throws {@link Fenced} when the attempt is not the newest. */
export function commitWithVerdict<T>(work: (tx: Tx) => Promise<T>, options: CommitOptions): Promise<T> {
  const { db, runKey, started, failpoint } = options;
  return withConflictRetries(() =>
    db.transaction(async (tx) => {
      const result = await work(tx);
      await failpoint('worker.inside_commit');
      const { rowCount } = await tx.query(verdictStatement(runKey, started));
      if (rowCount !== 1) throw new Fenced(`attempt ${started} of ${runKey} is not the newest`);
      await failpoint('worker.before_commit');
      return result;
    }),
  );
}

function verdictStatement(runKey: string, started: number) {
  return prepared(
    'verdict',
    sql`
      with verdict as (
        update ops.job_run set state = 'done', finished = finished + 1, finished_at = clock_timestamp()
        where run_key = ${runKey} and state = 'enqueued' and started = ${started} and finished < started
        returning run_key)
      delete from ops.job_outbox o using verdict v where o.run_key = v.run_key`,
  );
}

async function withConflictRetries<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries >= triesInPlace || databaseFailure(error) !== 'conflict') throw error;
      await wait(10 + Math.random() * 40 * tries);
    }
  }
}
