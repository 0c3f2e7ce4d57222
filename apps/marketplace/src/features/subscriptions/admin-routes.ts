import { idempotencyKey, once, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { refuse } from '../../errors.ts';
import { idParams } from '../../id-params.ts';
import type { Log } from '../../log.ts';
import { cutPage, decodeCursor, momentCursor, pageOf, pageQuery } from '../../paging.ts';
import { hashChosenPassword, type Passwords } from '../auth/index.ts';
import { adminSubscribeRequest, createProviderRequest, providerCard, subscription } from './contract.ts';
import { providerCardOfStaff } from './provider-card-contract.ts';
import { readRecord } from './provider-record.ts';
import { providerStatusRoutes, type ProviderStatusRouteDeps } from './provider-status-routes.ts';
import { createProviderAccount, presentProvider } from './providers.ts';
import { listProviders, listSubscriptions } from './queries.ts';
import { subscribe } from './subscribe.ts';
import { viewProvider, viewSubscription } from './views.ts';

export interface AdminProviderRouteDeps extends ProviderStatusRouteDeps {
  readonly log: Log;
  passwords: Passwords;
}

const tags = ['providers'];
const providerQuery = pageQuery.extend({ status: providerCard.shape.status.optional() });
const reading = { access: staff('provider.read') };
const writing = staff('provider.write');

/** Providers and their subscriptions, for staff. */
export function adminProviderRoutes(app: FastifyInstance, deps: AdminProviderRouteDeps): void {
  readRoutes(app, deps);
  createRoute(app, deps);
  subscribeRoute(app, deps);
  providerStatusRoutes(app, deps);
}

function readRoutes(app: FastifyInstance, { db }: AdminProviderRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/admin/providers',
    config: reading,
    schema: {
      tags,
      summary: 'Providers, newest first',
      querystring: providerQuery,
      response: { 200: pageOf(providerCard) },
    },
    handler: async ({ query: { limit, cursor, status } }) => {
      const after = decodeCursor(cursor, momentCursor);
      const rows = await listProviders(db, { status, after, limit: limit + 1 });
      return cutPage(rows, limit, { item: viewProvider, cursor: (row) => [row.position, row.id] });
    },
  });
  routes.route({
    method: 'GET',
    url: '/admin/providers/:id',
    config: reading,
    schema: {
      tags,
      summary: 'One provider with its newest subscriptions and its last 30 days beside those of its peers',
      params: idParams,
      response: { 200: providerCardOfStaff },
    },
    handler: async ({ params }) => {
      const row = await presentProvider(db, params.id);
      const subscriptions = await listSubscriptions(db, { providerId: row.id, after: undefined, limit: 200 });
      const { email_verified, status_memo } = row;
      const last_30_days = await readRecord(db, row.id);
      return {
        ...viewProvider(row),
        email_verified,
        status_memo,
        subscriptions: subscriptions.map(viewSubscription),
        last_30_days,
      };
    },
  });
}

function createRoute(app: FastifyInstance, { db, log, passwords }: AdminProviderRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/providers',
    config: { access: writing, idempotency: 'required' },
    schema: { tags, summary: 'Add an active provider', body: createProviderRequest, response: { 201: providerCard } },
    handler: async (request, reply) => {
      const key = idempotencyKey(request);
      const actor = actorOf(request);
      const { password: _password, ...rest } = request.body;
      const passwordHash = await hashChosenPassword(request.body, { passwords });
      // The password is no part of what a repeat must equal: a fast hash of the body is stored.
      const scope = { actor: actor.id, route: 'POST /admin/providers', key, request: rest };
      const answer = await once(db, scope, async (tx) => {
        const row = await createProviderAccount(tx, { draft: { ...rest, passwordHash }, actor }, { log });
        return { status: 201, body: viewProvider(row) };
      });
      if (answer.replayed) reply.header('idempotency-replayed', 'true');
      return reply.code(201).send(answer.body);
    },
  });
}

function subscribeRoute(app: FastifyInstance, { db, log }: AdminProviderRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/providers/:id/subscriptions',
    config: { access: writing, idempotency: 'accepted' },
    schema: {
      tags,
      summary: 'Subscribe a provider to a level',
      params: idParams,
      body: adminSubscribeRequest,
      response: { 201: subscription },
    },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const { id: providerId, status } = await presentProvider(tx, request.params.id);
        if (status === 'closed') throw refuse('invalid_state', { status });
        const row = await subscribe(tx, { providerId, terms: request.body, actor: actorOf(request) }, { log });
        return { status: 201, body: viewSubscription(row) };
      }),
  });
}
