import { type Database, type Tx, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { stepsOnce } from '../../each-once.ts';
import { idParams } from '../../id-params.ts';
import { pageOf } from '../../paging.ts';
import type { RefundDeps } from '../billing/index.ts';
import {
  assignmentParams,
  badLead,
  badLeadQuery,
  bulkRequest,
  bulkResponse,
  decisionResponse,
  memoRequest,
  refundResponse,
} from './contract.ts';
import { approveReport, type Decided, type Decision, refundAssignment, rejectReport } from './decide.ts';
import { listBadLeads } from './reading.ts';
import { viewRefund, viewStep } from './views.ts';

export interface AdminBadLeadDeps extends RefundDeps {
  readonly db: Database;
  readonly now: () => Date;
}

const tags = ['bad leads'];
const decides = { approve: approveReport, reject: rejectReport } as const;

/** The staff's side: reports beside the history of who makes them, and what is decided. */
export function adminBadLeadRoutes(app: FastifyInstance, deps: AdminBadLeadDeps): void {
  listRoute(app, deps);
  decisionRoute(app, deps, { action: 'approve', summary: 'Grant a report: the price charged comes back' });
  decisionRoute(app, deps, { action: 'reject', summary: 'Turn a report down' });
  bulkRoute(app, deps);
  refundRoute(app, deps);
}

function listRoute(app: FastifyInstance, { db, now }: AdminBadLeadDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/admin/bad-leads',
    config: { access: staff('money.read') },
    schema: {
      tags,
      summary: 'Reports beside the history of their providers; those that wait oldest first, others newest first',
      querystring: badLeadQuery,
      response: { 200: pageOf(badLead) },
    },
    handler: (request) => listBadLeads(db, request.query, now()),
  });
}

function decisionRoute(
  app: FastifyInstance,
  deps: AdminBadLeadDeps,
  { action, summary }: { action: keyof typeof decides; summary: string },
): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: `/admin/bad-leads/:assignment_id/${action}`,
    config: { access: staff('money.write', 'fresh'), idempotency: 'accepted' },
    schema: { tags, summary, params: assignmentParams, body: memoRequest, response: { 200: decisionResponse } },
    handler: (request, reply) =>
      write(deps.db, request, reply, async (tx) => {
        const { assignment_id: assignmentId } = request.params;
        const decision = { assignmentId, memo: request.body.memo, actor: actorOf(request) };
        return { status: 200, body: viewDecided(assignmentId, await decides[action](tx, decision, deps)) };
      }),
  });
}

function viewDecided(assignment_id: string, { status, changed, refund }: Decided) {
  return { assignment_id, status, changed, refund: refund && viewRefund(refund) };
}

function bulkRoute(app: FastifyInstance, deps: AdminBadLeadDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/bad-leads/bulk',
    config: { access: staff('money.write', 'fresh'), idempotency: 'required' },
    schema: {
      tags,
      summary: 'Decide up to 50 reports, each in a transaction of its own',
      body: bulkRequest,
      response: { 200: bulkResponse },
    },
    handler: async (request, reply) => {
      const { action, ids, memo } = request.body;
      const decide: (tx: Tx, decision: Decision, deps: RefundDeps) => Promise<Decided> = decides[action];
      const actor = actorOf(request);
      const begin = async () => ({ ids });
      const act = async (tx: Tx, assignmentId: string) => {
        const { changed } = await decide(tx, { assignmentId, memo, actor }, deps);
        return { changed };
      };
      const { results } = await stepsOnce(deps.db, request, reply, { begin, act }, deps);
      return { results: results.map(viewStep) };
    },
  });
}

function refundRoute(app: FastifyInstance, deps: AdminBadLeadDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/assignments/:id/refund',
    config: { access: staff('money.write', 'fresh'), idempotency: 'required' },
    schema: {
      tags,
      summary: 'Give the price of one assignment back out of goodwill',
      params: idParams,
      body: memoRequest,
      response: { 200: refundResponse },
    },
    handler: (request, reply) =>
      write(deps.db, request, reply, async (tx) => {
        const { id: assignmentId } = request.params;
        const decision = { assignmentId, memo: request.body.memo, actor: actorOf(request) };
        const back = await refundAssignment(tx, decision, deps);
        return { status: 200, body: { assignment_id: assignmentId, refund: viewRefund(back) } };
      }),
  });
}
