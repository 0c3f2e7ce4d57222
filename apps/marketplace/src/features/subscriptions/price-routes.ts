import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import type { Log } from '../../log.ts';
import { changePrice, type PricePreview, previewPrice } from './change-price.ts';
import { changePriceRequest, pricePreview, pricePreviewRequest, priceChanged } from './contract.ts';

export interface PriceRouteDeps {
  db: Database;
  log: Log;
  now: () => Date;
}

const tags = ['catalogue'];

/** The price of a level: what an edit would do, and the edit. */
export function priceRoutes(app: FastifyInstance, { db, log, now }: PriceRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/admin/levels/:id/price-preview',
    config: { access: staff('money.read') },
    schema: {
      tags,
      summary: 'What a new price would do, without doing it',
      params: idParams,
      body: pricePreviewRequest,
      response: { 200: pricePreview },
    },
    handler: async ({ params, body }) =>
      viewPreview(await previewPrice(db, { levelId: params.id, priceCents: body.price_cents, now: now() })),
  });
  routes.route({
    method: 'PUT',
    url: '/admin/levels/:id/price',
    config: { access: staff('money.write', 'fresh'), idempotency: 'required' },
    schema: {
      tags,
      summary: 'Set the price of a level, and pause and resume what that makes unaffordable and affordable',
      params: idParams,
      body: changePriceRequest,
      response: { 200: priceChanged },
    },
    handler: (request, reply) =>
      write(
        db,
        request,
        reply,
        async (tx) => {
          const input = { levelId: request.params.id, change: request.body, actor: actorOf(request) };
          return { status: 200, body: await changePrice(tx, input, { log }) };
        },
        { statementTimeoutMs: 60_000 },
      ),
  });
}

function viewPreview({ level, effect, changePct, leads, revenueCents, planHash }: PricePreview) {
  return {
    current: level.price_cents,
    change_pct: changePct,
    becomes_unfunded: { subscriptions: effect.becomesUnfunded, providers: effect.becomesUnfunded },
    becomes_funded: effect.becomesFunded,
    leads_30d: leads,
    revenue_30d_cents: revenueCents,
    plan_hash: planHash,
  };
}
