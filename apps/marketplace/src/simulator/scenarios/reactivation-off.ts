import { sql } from '@fmhl/ops';
import type { Ground } from '../live/ground.ts';
import { bringLeads, until } from '../live/journeys.ts';
import { openMarket } from '../live/market.ts';
import { runSchedule, runsOf } from './schedule-steps.ts';
import { defineScenario } from './scenario.ts';

const schedule = 'subscription-reactivation';
const lostMinutes = 30;

export const reactivationOff = defineScenario<{ providerId: string }>({
  name: 'reactivation-off',
  title: 'The job that wakes subscriptions does not run',
  cause: 'The scheduler has been down for half an hour, and a provider with money is still paused for funds.',
  signals: [
    {
      metric: 'fmhl_schedule_overdue_seconds',
      labels: { schedule },
      reaches: (lostMinutes - 10) * 60,
      tells: 'runs were expected that did not come',
    },
  ],
  steps: [
    'See what is missing: `fmhl schedule list`, and `fmhl schedule runs subscription-reactivation`.',
    'Start the scheduler again. It records each tick of the outage as missed, and catches up with the last of them.',
    'Run it now, if you cannot wait: `fmhl schedule run subscription-reactivation --reason "…"`. Its counts say how many woke up.',
    'Estimate what was lost: `GET /api/v1/admin/reports/coverage` over the time of the outage.',
  ],
  async inject(ground) {
    const { buyers } = await openMarket(ground);
    const [sleeper] = buyers;
    if (!sleeper) throw new Error('a buyer is needed');
    await ground.control.set({ scheduler: false });
    await loseTicks(ground);
    await ground.db.query(sql`
      update subscription set status = 'paused_funds', status_ref = null, version = version + 1
      where provider_id = ${sleeper.id} and status = 'active'`);
    return { providerId: sleeper.id };
  },
  async remedy(ground, { providerId }) {
    await ground.control.set({ scheduler: true });
    await until('the missed runs are on record', async () =>
      (await runsOf(ground, schedule)).some(({ state }) => state === 'missed'),
    );
    await runSchedule(ground, schedule);
    const asleep = sql`select from v_subscription where provider_id = ${providerId} and status = 'paused_funds'`;
    await until('nobody with money is asleep', async () => (await ground.db.query(asleep)).rowCount === 0);
    await bringLeads(ground, 1);
  },
  stop: async ({ control }) => void (await control.set({ scheduler: true })),
});

/** As if nobody had looked at the clock for half an hour: what the ledger says of that time is forgotten. */
async function loseTicks({ db }: Ground): Promise<void> {
  const lost = sql`${lostMinutes} * interval '1 minute'`;
  await db.transaction(async (tx) => {
    await tx.query(sql`
      delete from ops.schedule_run
      where schedule = ${schedule} and origin <> 'manual' and (state = 'expected' or fire_at > clock_timestamp() - ${lost})`);
    await tx.query(sql`
      update ops.schedule
      set last_tick = date_bin('5 minutes', clock_timestamp() - ${lost}, 'epoch'),
          ruled_since = least(ruled_since, date_bin('5 minutes', clock_timestamp() - ${lost}, 'epoch')),
          created_at = least(created_at, clock_timestamp() - ${lost})
      where name = ${schedule}`);
  });
}
