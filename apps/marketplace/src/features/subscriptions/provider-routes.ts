import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { actorOf, provider } from '../../access.ts';
import { refuse } from '../../errors.ts';
import { idParams } from '../../id-params.ts';
import type { Log } from '../../log.ts';
import { cutPage, decodeCursor, momentCursor, pageOf, pageQuery } from '../../paging.ts';
import { listLevels } from './catalogue-queries.ts';
import {
  changedSubscription,
  changeProfileRequest,
  changeSubscriptionRequest,
  level,
  profile,
  subscribeRequest,
  subscription,
} from './contract.ts';
import { changeProfile, ownProvider, ownWritingProvider, type SetLowBalance } from './providers.ts';
import { previewMatches } from './preview.ts';
import { matchPreview } from './preview-contract.ts';
import { listSubscriptions, subscriptionById } from './queries.ts';
import { cancelSubscription, changeSubscription, type ChangedSubscription, subscribe } from './subscribe.ts';
import { viewLevel, viewProfile, viewSubscription } from './views.ts';

export interface ProviderRouteDeps {
  db: Database;
  log: Log;
  setLowBalance: SetLowBalance;
}

const tags = ['provider'];
const config = { access: provider };
const writing = { access: provider, idempotency: 'accepted' as const };
export const levelCursor = z.tuple([z.string().regex(/^[a-z0-9-]{1,64}$/), z.int().min(0).max(1000)]);
export const levelQuery = pageQuery.extend({
  niche: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/)
    .optional(),
});

/** The provider's own profile, the levels on sale, and the own subscriptions. */
export function providerRoutes(app: FastifyInstance, deps: ProviderRouteDeps): void {
  profileRoutes(app, deps);
  levelRoute(app, deps);
  subscriptionListRoutes(app, deps);
  previewRoute(app, deps);
  subscriptionChangeRoutes(app, deps);
}

function profileRoutes(app: FastifyInstance, { db, setLowBalance }: ProviderRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/provider/me',
    config,
    schema: { tags, summary: 'The own profile and balance', response: { 200: profile } },
    handler: async (request) => viewProfile(await ownProvider(db, actorOf(request))),
  });
  routes.route({
    method: 'PATCH',
    url: '/provider/me',
    config: writing,
    schema: { tags, summary: 'Change the own profile', body: changeProfileRequest, response: { 200: profile } },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const actor = actorOf(request);
        const own = await ownWritingProvider(tx, actor);
        const next = await changeProfile(tx, { provider: own, change: request.body, actor }, { setLowBalance });
        return { status: 200, body: viewProfile(next) };
      }),
  });
}

function levelRoute(app: FastifyInstance, { db }: ProviderRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/provider/levels',
    config,
    schema: { tags, summary: 'Levels on sale', querystring: levelQuery, response: { 200: pageOf(level) } },
    handler: async ({ query: { limit, cursor, niche } }) => {
      const after = decodeCursor(cursor, levelCursor);
      const rows = await listLevels(db, { niche, onlyActive: true, after, limit: limit + 1 });
      return cutPage(rows, limit, { item: viewLevel, cursor: (row) => [row.niche, row.ord] });
    },
  });
}

function subscriptionListRoutes(app: FastifyInstance, { db, log }: ProviderRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/provider/subscriptions',
    config,
    schema: { tags, summary: 'The own subscriptions', querystring: pageQuery, response: { 200: pageOf(subscription) } },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const after = decodeCursor(cursor, momentCursor);
      const { id: providerId } = await ownProvider(db, actorOf(request));
      const rows = await listSubscriptions(db, { providerId, after, limit: limit + 1 });
      return cutPage(rows, limit, { item: viewSubscription, cursor: (row) => [row.position, row.id] });
    },
  });
  routes.route({
    method: 'POST',
    url: '/provider/subscriptions',
    config: writing,
    schema: { tags, summary: 'Subscribe to a level', body: subscribeRequest, response: { 201: subscription } },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const actor = actorOf(request);
        const { id: providerId } = await ownWritingProvider(tx, actor);
        const row = await subscribe(tx, { providerId, terms: { ...request.body, weight: 1 }, actor }, { log });
        return { status: 201, body: viewSubscription(row) };
      }),
  });
}

function previewRoute(app: FastifyInstance, { db }: ProviderRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/provider/subscriptions/:id/preview',
    config,
    schema: {
      tags,
      summary: "How many of the last 30 days' leads fit the subscription, and which of its rules refuses most",
      params: idParams,
      response: { 200: matchPreview },
    },
    handler: async (request) => {
      const { id: providerId } = await ownProvider(db, actorOf(request));
      const own = await subscriptionById(db, request.params.id);
      if (own?.provider_id !== providerId) throw refuse('not_found');
      return previewMatches(db, own);
    },
  });
}

function subscriptionChangeRoutes(app: FastifyInstance, { db, log }: ProviderRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  const response = { 200: changedSubscription };
  routes.route({
    method: 'PATCH',
    url: '/provider/subscriptions/:id',
    config: writing,
    schema: { tags, summary: 'Pause, resume or change', params: idParams, body: changeSubscriptionRequest, response },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const actor = actorOf(request);
        const { id: providerId } = await ownWritingProvider(tx, actor);
        const input = { id: request.params.id, providerId, change: request.body, actor };
        return { status: 200, body: viewChange(await changeSubscription(tx, input, { log })) };
      }),
  });
  routes.route({
    method: 'DELETE',
    url: '/provider/subscriptions/:id',
    config: writing,
    schema: { tags, summary: 'Cancel for good', params: idParams, response },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const actor = actorOf(request);
        const { id: providerId } = await ownWritingProvider(tx, actor);
        return {
          status: 200,
          body: viewChange(await cancelSubscription(tx, { id: request.params.id, providerId, actor }, { log })),
        };
      }),
  });
}

const viewChange = ({ subscription: row, changed }: ChangedSubscription) => ({ ...viewSubscription(row), changed });
