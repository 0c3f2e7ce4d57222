import { approveLeads, confirmLeads, soldLeads, submitLeads, type Traveller } from '../live/journeys.ts';
import { openMarket } from '../live/market.ts';
import { defineScenario } from './scenario.ts';

const leads = 3;

export const redisDown = defineScenario<{ confirmed: Traveller[]; submitted: Traveller[] }>({
  name: 'redis-down',
  title: 'Redis is gone',
  cause: 'Redis ends. Leads are submitted and approved all the same.',
  signals: [
    { metric: 'fmhl_health_check_up', labels: { check: 'redis' }, falls: 0, tells: 'the check of Redis fails' },
    {
      metric: 'fmhl_job_outbox_backlog',
      labels: { queue: 'distribute_lead' },
      reaches: leads,
      tells: 'approved leads wait in Postgres for their hand-over',
    },
  ],
  steps: [
    'Say what still works: leads are accepted (202) and approved, nothing is sold or mailed. `GET /health/serving` of the API stays 200.',
    'Bring Redis back, with its data or without.',
    'Watch `fmhl_job_outbox_backlog` fall to 0; nothing else is to be done.',
  ],
  async inject(ground) {
    await openMarket(ground);
    const confirmed = await submitLeads(ground, leads);
    await confirmLeads(ground, confirmed);
    await ground.control.set({ redis: false });
    await approveLeads(ground, confirmed);
    return { confirmed, submitted: await submitLeads(ground, 1) };
  },
  async remedy(ground, { confirmed, submitted }) {
    await ground.control.set({ redis: true });
    await soldLeads(ground, confirmed);
    await confirmLeads(ground, submitted);
    await approveLeads(ground, submitted);
    await soldLeads(ground, submitted);
  },
  stop: async ({ control }) => void (await control.set({ redis: true })),
});
