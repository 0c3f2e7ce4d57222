import { type Database, type Queryable, write } from '@fmhl/ops';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, provider } from '../../access.ts';
import { refuse } from '../../errors.ts';
import { idParams } from '../../id-params.ts';
import type { Log } from '../../log.ts';
import type { ProductMetrics } from '../../metrics.ts';
import { cutPage, decodeCursor, momentCursor, pageOf } from '../../paging.ts';
import { decisionResponse, declineRequest, inboxDetail, inboxItem, inboxQuery } from './contract.ts';
import { type Decision, decide } from './decide.ts';
import { listBought, openBought, readProvider } from './queries.ts';
import { viewDetail, viewItem } from './views.ts';

export interface InboxRouteDeps {
  readonly db: Database;
  readonly metrics: Pick<ProductMetrics, 'inboxQueryDurationMs'>;
  readonly log: Log;
}

/** The provider's inbox: the leads they bought, and nothing of who else did. */
export function inboxRoutes(app: FastifyInstance, deps: InboxRouteDeps): void {
  listRoute(app, deps);
  openRoute(app, deps);
  decisionRoutes(app, deps);
}

function listRoute(app: FastifyInstance, deps: InboxRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/provider/inbox',
    config: { access: provider },
    schema: {
      tags: ['inbox'],
      summary: 'The leads bought, newest first',
      querystring: inboxQuery,
      response: { 200: pageOf(inboxItem) },
    },
    handler: async (request) => {
      const { cursor, limit, ...filter } = request.query;
      const after = decodeCursor(cursor, momentCursor);
      const { id } = await ownProvider(deps.db, request);
      const rows = await timed(deps, () => listBought(deps.db, id, { ...filter, after, limit: limit + 1 }));
      return cutPage(rows, limit, { item: viewItem, cursor: (row) => [row.position, row.id] });
    },
  });
}

function openRoute(app: FastifyInstance, deps: InboxRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/provider/inbox/:id',
    config: { access: provider },
    schema: {
      tags: ['inbox'],
      summary: 'One bought lead; the first look marks it viewed',
      params: idParams,
      response: { 200: inboxDetail },
    },
    handler: async (request) => {
      const own = await ownProvider(deps.db, request);
      const row = await timed(deps, () => openBought(deps.db, own.id, request.params.id));
      if (!row) throw refuse('not_found');
      return viewDetail(row);
    },
  });
}

function decisionRoutes(app: FastifyInstance, deps: InboxRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/provider/inbox/:id/accept',
    config: { access: provider, idempotency: 'accepted' },
    schema: { tags: ['inbox'], summary: 'Accept a lead', params: idParams, response: { 200: decisionResponse } },
    handler: (request, reply) =>
      answerDecision(request, reply, deps, { assignmentId: request.params.id, decision: 'accepted' }),
  });
  routes.route({
    method: 'POST',
    url: '/provider/inbox/:id/decline',
    config: { access: provider, idempotency: 'accepted' },
    schema: {
      tags: ['inbox'],
      summary: 'Decline a lead',
      params: idParams,
      body: declineRequest.nullish(),
      response: { 200: decisionResponse },
    },
    handler: (request, reply) =>
      answerDecision(request, reply, deps, {
        assignmentId: request.params.id,
        decision: 'declined',
        reason: request.body?.reason,
      }),
  });
}

function answerDecision(
  request: FastifyRequest,
  reply: FastifyReply,
  { db, log }: InboxRouteDeps,
  wanted: Pick<Decision, 'assignmentId' | 'decision' | 'reason'>,
) {
  return write(db, request, reply, async (tx) => {
    const own = await ownProvider(tx, request);
    if (!own.verified) throw refuse('email_unverified');
    if (own.status === 'suspended' || own.status === 'closed') throw refuse('invalid_state', { status: own.status });
    const actor = actorOf(request);
    const { decision, decided_at, changed } = await decide(tx, { ...wanted, providerId: own.id, actor }, { log });
    return {
      status: 200,
      body: { assignment_id: wanted.assignmentId, decision, decided_at: decided_at.toISOString(), changed },
    };
  });
}

async function ownProvider(db: Queryable, request: FastifyRequest) {
  const own = await readProvider(db, actorOf(request).id);
  if (!own) throw refuse('not_found');
  return own;
}

/** Records how long a query took, the wait for a connection included. */
async function timed<T>({ metrics }: InboxRouteDeps, query: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  try {
    return await query();
  } finally {
    metrics.inboxQueryDurationMs.observe(performance.now() - startedAt);
  }
}
