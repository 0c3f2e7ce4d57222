import { randomUUID } from 'node:crypto';
import { approveLeads, confirmLeads, soldLeads, type Traveller } from '../live/journeys.ts';
import { openMarket, tradeSlug } from '../live/market.ts';
import type { Ground } from '../live/ground.ts';
import { defineScenario } from './scenario.ts';

const clicks = 50;
const route = '/api/v1/leads';

export const doubleSubmit = defineScenario<{ lead: Traveller }>({
  name: 'double-submit',
  title: 'One person clicks fifty times',
  cause: 'A form that is sent fifty times at once under one key, and a lead that is approved fifty times at once.',
  signals: [
    {
      metric: 'fmhl_http_request_duration_ms_count',
      labels: { method: 'POST', route, status: '202' },
      rises: clicks,
      tells: 'fifty submissions were accepted',
    },
    {
      metric: 'fmhl_leads_submitted_total',
      rises: 1,
      tells: 'and one lead was stored: the others were answered from it',
    },
  ],
  steps: [
    'Nothing is to be repaired: the first answer is repeated (`Idempotency-Replayed: true`), one lead is stored, sold and charged.',
    'Look at the lead, `GET /api/v1/admin/leads/<id>`: one sale, one assignment for each buyer, one mail each.',
  ],
  async inject(ground) {
    await openMarket(ground);
    return { lead: await submitManyTimes(ground) };
  },
  async remedy(ground, { lead }) {
    await confirmLeads(ground, [lead]);
    await approveLeads(ground, Array<Traveller>(clicks).fill(lead));
    const [sold] = await soldLeads(ground, [lead]);
    const buyers = sold?.assignments.map(({ provider_id }) => provider_id) ?? [];
    if (buyers.length === 0 || new Set(buyers).size !== buyers.length) throw new Error('a buyer got the lead twice');
  },
  stop: async () => {},
});

async function submitManyTimes({ stranger }: Ground): Promise<Traveller> {
  const key = randomUUID();
  const email = `gutters-${key}@example.com`;
  const person = { name: 'Sam Eaves', email, postcode: '94107' };
  const body = { niche: tradeSlug, ...person, form: {}, consent: { version: 1 } };
  const answers = await Promise.all(
    Array.from({ length: clicks }, () => stranger.post<{ id: string }>('/leads', body, key)),
  );
  const ids = new Set(answers.map((answer) => answer.body.id));
  const [id] = ids;
  if (id === undefined || ids.size !== 1) throw new Error(`fifty clicks made ${ids.size} leads`);
  const replayed = answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true').length;
  if (replayed !== clicks - 1) throw new Error(`${replayed} answers say that they repeat the first`);
  return { id, email };
}
