import { audit, type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import type { ProductMetrics } from '../../metrics.ts';
import { bulkRoute } from './bulk.ts';
import {
  distribution,
  erasedByStaff,
  erasureMemo,
  leadDetail,
  leadList,
  leadQuery,
  rejection,
  reviewed,
  sold,
} from './contract.ts';
import { eraseLead, type EraseDeps } from './erase.ts';
import { listLeads, type ReadSales, readLeadDetail } from './reading.ts';
import { approveLead, distributeLead, rejectLead } from './review.ts';
import { sourceRoutes } from './source-routes.ts';

export interface AdminLeadDeps extends EraseDeps {
  readonly db: Database;
  readonly metrics: Pick<ProductMetrics, 'leadsApproved'>;
  readonly readSales: ReadSales;
}

/** The staff's side: the queue of leads, one lead, and what is decided about it. */
export function adminLeadRoutes(app: FastifyInstance, deps: AdminLeadDeps): void {
  readingRoutes(app, deps);
  approveRoute(app, deps);
  rejectRoute(app, deps);
  distributeRoute(app, deps);
  eraseRoute(app, deps);
  bulkRoute(app, deps);
  sourceRoutes(app, deps);
}

function readingRoutes(app: FastifyInstance, { db, readSales }: AdminLeadDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/admin/leads',
    config: { access: staff('lead.read') },
    schema: {
      tags: ['leads'],
      summary: 'Leads, with their age; those that wait oldest first, others newest first',
      querystring: leadQuery,
      response: { 200: leadList },
    },
    handler: (request) => listLeads(db, request.query),
  });
  routes.route({
    method: 'GET',
    url: '/admin/leads/:id',
    config: { access: staff('lead.read') },
    schema: {
      tags: ['leads'],
      summary: 'One lead with its person, consent, duplicates, sales and mails; the look is audited',
      params: idParams,
      response: { 200: leadDetail },
    },
    handler: async (request) => {
      const { id } = request.params;
      return db.transaction(async (tx) => {
        const lead = await readLeadDetail(tx, id, readSales);
        await audit(tx, { actor: actorOf(request), action: 'lead.viewed', targetType: 'lead', targetId: id });
        return lead;
      });
    },
  });
}

function approveRoute(app: FastifyInstance, deps: AdminLeadDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/leads/:id/approve',
    config: { access: staff('lead.review'), idempotency: 'accepted' },
    schema: {
      tags: ['leads'],
      summary: 'Approve a lead and start its sale',
      params: idParams,
      response: { 200: sold },
    },
    handler: (request, reply) =>
      write(deps.db, request, reply, async (tx) => {
        const input = { leadId: request.params.id, actor: actorOf(request) };
        const { status, changed, jobId } = await approveLead(tx, input, deps);
        return { status: 200, body: { status, changed, job_id: jobId } };
      }),
  });
}

function rejectRoute(app: FastifyInstance, deps: AdminLeadDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/leads/:id/reject',
    config: { access: staff('lead.review'), idempotency: 'accepted' },
    schema: {
      tags: ['leads'],
      summary: 'Reject a lead that nobody has bought',
      params: idParams,
      body: rejection,
      response: { 200: reviewed },
    },
    handler: (request, reply) =>
      write(deps.db, request, reply, async (tx) => {
        const input = { leadId: request.params.id, reason: request.body.reason, actor: actorOf(request) };
        return { status: 200, body: await rejectLead(tx, input, deps) };
      }),
  });
}

function distributeRoute(app: FastifyInstance, { db }: AdminLeadDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/leads/:id/distribute',
    config: { access: staff('lead.review'), idempotency: 'accepted' },
    schema: {
      tags: ['leads'],
      summary: 'Start the sale of an approved or unsold lead anew',
      params: idParams,
      body: distribution,
      response: { 200: sold },
    },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const input = { leadId: request.params.id, memo: request.body.memo, actor: actorOf(request) };
        const { status, changed, jobId } = await distributeLead(tx, input);
        return { status: 200, body: { status, changed, job_id: jobId } };
      }),
  });
}

function eraseRoute(app: FastifyInstance, deps: AdminLeadDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/leads/:id/erase',
    config: { access: staff('lead.review', 'fresh'), idempotency: 'accepted' },
    schema: {
      tags: ['leads'],
      summary: 'Remove the personal data of a lead, as its person may; sales, money and consent stay',
      params: idParams,
      body: erasureMemo,
      response: { 200: erasedByStaff },
    },
    handler: (request, reply) =>
      write(deps.db, request, reply, async (tx) => {
        const input = { leadId: request.params.id, memo: request.body.memo, actor: actorOf(request) };
        const { id, erasedAt, changed } = await eraseLead(tx, input, deps);
        return { status: 200, body: { id, erased_at: erasedAt.toISOString(), changed } };
      }),
  });
}
