import { randomUUID } from 'node:crypto';
import { confirmLeads, soldLeads, submitLeads, type Traveller } from '../live/journeys.ts';
import { openMarket, tradeSlug } from '../live/market.ts';
import { defineScenario } from './scenario.ts';

const leads = 20;

export const approvalBacklog = defineScenario<{ leads: Traveller[] }>({
  name: 'approval-backlog',
  title: 'Leads pile up before their approval',
  cause: 'Twenty people confirm their lead, and nobody of the staff looks at them.',
  signals: [
    {
      list: `/admin/leads?status=pending_approval&niche=${tradeSlug}&limit=50`,
      count: leads,
      tells: 'confirmed leads wait for a decision, the oldest first',
    },
  ],
  steps: [
    'Look at the oldest: `GET /api/v1/admin/leads?status=pending_approval` lists them by age, with their risk flags.',
    'Approve those without flags, fifty at once: `POST /api/v1/admin/leads/bulk` with `{ "action": "approve", "ids": […] }`. Each answers for itself.',
    'Look at those with flags one by one.',
  ],
  async inject(ground) {
    await openMarket(ground);
    const waiting = await submitLeads(ground, leads);
    await confirmLeads(ground, waiting);
    return { leads: waiting };
  },
  async remedy(ground, { leads: waiting }) {
    const ids = waiting.map(({ id }) => id);
    await ground.operator.post('/admin/leads/bulk', { action: 'approve', ids }, randomUUID());
    await soldLeads(ground, waiting);
  },
  stop: async () => {},
});
