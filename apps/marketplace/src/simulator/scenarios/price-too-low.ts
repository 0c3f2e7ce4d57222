import { bringLeads } from '../live/journeys.ts';
import { openMarket } from '../live/market.ts';
import { restorePrices } from './price-mistake.ts';
import { setPrice } from './pricing.ts';
import { defineScenario } from './scenario.ts';

const leads = 3;
const cheapCents = 50;

export const priceTooLow = defineScenario<{ levels: { id: string; name: string }[] }>({
  name: 'price-too-low',
  title: 'Leads are sold for a song',
  cause: 'The prices of both levels of a niche are set to 50 cents. Everything sells; the money does not come.',
  signals: [
    {
      list: '/admin/reports/revenue?by=niche&clock=sold&from={start}',
      where: { label: 'Gutter cleaning' },
      field: 'net_per_lead_cents',
      below: 500,
      tells: 'a lead of this niche brings a tenth of what it should',
    },
  ],
  steps: [
    'Compare with the week before: `GET /api/v1/admin/reports/revenue?by=niche` and its `net_per_lead_cents`.',
    'Find the edit: `GET /api/v1/admin/audit?action=level.price_changed`.',
    'Go back: `POST …/price-preview`, then `PUT /api/v1/admin/levels/<id>/price`. It pauses who can no longer pay, and tells how many.',
    'What was sold stays sold at the price of its moment: that is the promise of the ledger.',
  ],
  async inject(ground) {
    const { select, standard } = await openMarket(ground);
    for (const level of [select, standard]) {
      await setPrice(ground, level, { price_cents: cheapCents, memo: 'New prices for the season' });
    }
    await bringLeads(ground, leads);
    return { levels: [select, standard].map(({ id, name }) => ({ id, name })) };
  },
  async remedy(ground, { levels }) {
    await restorePrices(ground, levels);
    await bringLeads(ground, leads);
  },
  stop: (ground, { levels }) => restorePrices(ground, levels),
});
