import { audit, systemActor } from '../audit/index.ts';
import type { Logger } from '../logging/index.ts';
import type { Tx } from '../postgres/index.ts';
import { asError, type Death } from '../queues/index.ts';
import { type Clock, databaseClock } from './clock.ts';
import { schedulerQueue } from './queue.ts';
import { markFailed } from './run-rows.ts';

/** Ends the runs whose jobs died, in the transaction of their verdicts and after their letters were written. */
export async function failRuns(
  tx: Tx,
  deaths: readonly Death[],
  { log, clock = databaseClock }: { log: Logger; clock?: Clock | undefined },
): Promise<void> {
  const mine = deaths.filter(({ queue, kind }) => queue === schedulerQueue.name && kind in schedulerQueue.kinds);
  if (mine.length === 0) return;
  const now = await clock(tx);
  for (const run of await markFailed(tx, mine, now)) {
    const failure = mine.find(({ rootKey }) => rootKey === run.run_key)?.failure;
    const of = { schedule: run.schedule, run_id: run.id };
    await audit(tx, {
      actor: systemActor,
      action: 'schedule.run_failed',
      targetType: 'schedule',
      targetId: run.schedule,
      details: {
        run_id: run.id,
        fire_at: run.fire_at.toISOString(),
        cause: run.reason,
        dead_letter: run.dead_letter_id,
      },
    });
    const duration_ms = now.getTime() - (run.started_at ?? now).getTime();
    if (failure) tx.afterCommit(() => log.error('scheduled_job_failed', asError(failure), { ...of, duration_ms }));
  }
}
