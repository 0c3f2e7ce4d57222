import { approveLeads, confirmLeads, soldLeads, submitLeads, type Traveller, until } from '../live/journeys.ts';
import { sql } from '@fmhl/ops';
import { openMarket } from '../live/market.ts';
import { defineScenario } from './scenario.ts';

const leads = 4;

export const redisFlush = defineScenario<{ leads: Traveller[] }>({
  name: 'redis-flush',
  title: 'Redis loses every job',
  cause: 'Four leads are approved and their jobs handed over; then somebody runs FLUSHALL.',
  signals: [
    {
      metric: 'fmhl_reconciler_repairs_total',
      labels: { kind: 'job_redispatched' },
      rises: leads,
      tells: 'jobs that Redis no longer held were handed over again',
    },
  ],
  steps: [
    'Nothing is to be repaired by hand: every open job is in Postgres, and those that Redis lost are handed over again after `RECONCILE_AFTER_MS`.',
    'Find out who flushed, and give the application a Redis of its own (`maxmemory-policy noeviction`).',
    'See that the leads are sold: `GET /api/v1/admin/leads?status=approved` grows empty.',
  ],
  async inject(ground) {
    const { control, db, redis } = ground;
    await openMarket(ground);
    const travellers = await submitLeads(ground, leads);
    await confirmLeads(ground, travellers);
    await control.set({ worker: false });
    await approveLeads(ground, travellers);
    const handedOver = sql`
      select from ops.job_outbox where dispatched_at is not null and run_key = any(${travellers.map(({ id }) => `distribute-${id}-1`)})`;
    await until('their jobs are handed over', async () => (await db.query(handedOver)).rowCount === leads);
    await redis.flushall();
    await control.set({ worker: true });
    return { leads: travellers };
  },
  remedy: async (ground, { leads: lost }) => void (await soldLeads(ground, lost)),
  stop: async ({ control }) => void (await control.set({ worker: true })),
});
