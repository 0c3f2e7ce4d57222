import { type Database, sql } from '../../packages/ops/src/postgres/index.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';

/** Waits until no run is open but those planned for later than `laterMs`, such as the next try of a lead without a buyer. False when it is late. */
export async function settles(db: Database, withinMs: number, laterMs = 60_000): Promise<boolean> {
  const due = sql`
    select from ops.job_run where state = 'enqueued' and run_at < clock_timestamp() + ${laterMs} * interval '1 ms' limit 1`;
  return pollUntil(async () => (await db.query(due)).rowCount === 0, { deadlineMs: withinMs, everyMs: 50 }).catch(
    () => false,
  );
}
