import { sql } from '../../packages/ops/src/postgres/index.ts';
import type { System } from './system.ts';

const schedule = 'dlq-cleanup';
/** A collector keeps what it read for 10 s. */
const shownWithinMs = 25_000;

/** A Sunday on which nobody looked at the clock, and whose run then waits for a worker. */
export async function missedSunday({ watch, market, queues }: System): Promise<void> {
  const overdue = (becomes: 0 | 'positive') =>
    ({ metric: 'schedule_overdue_seconds', labels: { schedule }, becomes }) as const;
  const loseSunday = async () => {
    await queues.pause('scheduler');
    await market.db.query(sql`
      update ops.schedule set last_tick = last_tick - interval '8 days', ruled_since = ruled_since - interval '8 days'
      where name = ${schedule}`);
  };
  await watch.sees(
    'a Sunday is caught up, and no worker may take it',
    loseSunday,
    [overdue('positive')],
    shownWithinMs,
  );
  await watch.sees('it runs', () => queues.resume('scheduler'), [overdue(0)], shownWithinMs);
}
