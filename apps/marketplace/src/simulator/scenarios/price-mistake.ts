import { randomUUID } from 'node:crypto';
import type { Ground } from '../live/ground.ts';
import { approveLeads, confirmLeads, soldLeads, submitLeads, type Traveller, until } from '../live/journeys.ts';
import { levelPrices, openMarket, tradeSlug } from '../live/market.ts';
import { setPrice } from './pricing.ts';
import { defineScenario } from './scenario.ts';

const leads = 3;
/** The most that a level may cost: nobody in this trade has so much. */
const mistakenCents = 1_000_000;

interface Facts {
  readonly leads: Traveller[];
  readonly levels: { readonly id: string; readonly name: string }[];
}

export const priceMistake = defineScenario<Facts>({
  name: 'price-mistake',
  title: 'Somebody types two zeros too many',
  cause:
    'The prices of both levels of a niche are set to $10,000. Nobody can pay that, so every subscription is paused, and leads stay unsold.',
  signals: [
    {
      list: `/admin/leads?status=unsold&niche=${tradeSlug}&limit=50`,
      count: leads,
      tells: 'approved leads find no buyer',
    },
    {
      list: `/admin/levels?niche=${tradeSlug}&limit=50`,
      where: { price_cents: mistakenCents },
      count: 2,
      tells: 'the level costs what nobody meant',
    },
  ],
  steps: [
    'Find the edit: `GET /api/v1/admin/audit?action=level.price_changed` says who set which price when, and how many subscriptions that paused.',
    'See what the way back does: `POST /api/v1/admin/levels/<id>/price-preview` with the old price answers how many become funded.',
    'Go back: `PUT /api/v1/admin/levels/<id>/price` with that `plan_hash`, a memo, and the level’s name as `confirm`. The same commit resumes all who can pay.',
    'Sell what stayed unsold: `POST /api/v1/admin/leads/bulk` with `{ "action": "distribute", "ids": […], "reason": "…" }`.',
  ],
  async inject(ground) {
    const { select, standard } = await openMarket(ground);
    const travellers = await submitLeads(ground, leads);
    await confirmLeads(ground, travellers);
    for (const level of [select, standard]) {
      await setPrice(ground, level, { price_cents: mistakenCents, memo: 'New prices for the season' });
    }
    await approveLeads(ground, travellers);
    return { leads: travellers, levels: [select, standard].map(({ id, name }) => ({ id, name })) };
  },
  async remedy(ground, { leads: travellers, levels }) {
    const ids = travellers.map(({ id }) => id);
    await until('the leads are unsold', async () => {
      const states = await Promise.all(ids.map((id) => ground.operator.get<{ status: string }>(`/admin/leads/${id}`)));
      return states.every(({ status }) => status === 'unsold');
    });
    await restorePrices(ground, levels);
    const reason = 'The price was a mistake and is corrected';
    await ground.operator.post('/admin/leads/bulk', { action: 'distribute', ids, reason }, randomUUID());
    await soldLeads(ground, travellers);
  },
  stop: (ground, { levels }) => restorePrices(ground, levels),
});

/** Those that are wrong. */
export async function restorePrices(ground: Ground, levels: Facts['levels']): Promise<void> {
  const { items } = await ground.operator.get<{ items: { id: string; price_cents: number }[] }>(
    `/admin/levels?niche=${tradeSlug}&limit=50`,
  );
  for (const level of levels) {
    const price_cents = levelPrices[level.name];
    const now = items.find(({ id }) => id === level.id)?.price_cents;
    if (price_cents === undefined || now === price_cents) continue;
    await setPrice(ground, level, { price_cents, memo: 'Back to the price that was meant' });
  }
}
