import { randomUUID } from 'node:crypto';
import { bringLeads } from '../live/journeys.ts';
import { openMarket } from '../live/market.ts';
import { keenest, reportAll } from './reporting.ts';
import { defineScenario } from './scenario.ts';

const leads = 5;

export const disputeBurst = defineScenario<{ reported: string[] }>({
  name: 'dispute-burst',
  title: 'One provider disputes everything',
  cause: 'A provider reports every lead it bought as unreachable; the others who bought the same leads report none.',
  signals: [
    { metric: 'fmhl_bad_leads_reported_total', rises: 2, tells: 'reports come in' },
    {
      list: '/admin/bad-leads?status=pending&limit=200',
      count: 2,
      tells: 'they wait for a decision, beside the history of who made them',
    },
  ],
  steps: [
    'Look at who reports: `GET /api/v1/admin/bad-leads?status=pending` shows the history of the provider (`reports_often`, `peers_disagree`) and what the other buyers of the same leads made of them.',
    'Grant one out of goodwill: `POST /api/v1/admin/bad-leads/<assignment>/approve` with a memo. The price charged comes back, once.',
    'Turn the others down together: `POST /api/v1/admin/bad-leads/bulk` with `{ "action": "reject", "ids": […], "memo": "…" }`.',
  ],
  async inject(ground) {
    const market = await openMarket(ground);
    const sold = await bringLeads(ground, leads);
    return { reported: await reportAll(keenest(market, sold), sold, 'unreachable') };
  },
  async remedy({ operator }, { reported: [first, ...others] }) {
    const approving = { memo: 'The number was indeed out of service' };
    if (first) await operator.post(`/admin/bad-leads/${first}/approve`, approving, randomUUID());
    if (others.length === 0) return;
    const body = { action: 'reject', ids: others, memo: 'The other buyers of these leads reached the person' };
    await operator.post('/admin/bad-leads/bulk', body, randomUUID());
  },
  stop: async () => {},
});
