import type { Database } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { staff } from '../../access.ts';
import { refuse } from '../../errors.ts';
import { idParams } from '../../id-params.ts';
import { pageOf, pageQuery } from '../../paging.ts';
import { runView } from './contract.ts';
import { explainLead } from './explain.ts';
import { explanation } from './explain-contract.ts';
import { leadExists, listRuns } from './runs.ts';

/** What the staff may read of sales. */
export function distributionRoutes(app: FastifyInstance, { db }: { db: Database }): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/admin/leads/:id/explain',
    config: { access: staff('lead.read') },
    schema: {
      tags: ['leads'],
      summary: 'Who would buy the lead now, and what stands against the others',
      params: idParams,
      response: { 200: explanation },
    },
    handler: (request) => explainLead(db, request.params.id),
  });
  routes.route({
    method: 'GET',
    url: '/admin/leads/:id/runs',
    config: { access: staff('lead.read') },
    schema: {
      tags: ['leads'],
      summary: 'The attempts to sell a lead, with the trace of their decisions',
      params: idParams,
      querystring: pageQuery,
      response: { 200: pageOf(runView) },
    },
    handler: async (request) => {
      const { id } = request.params;
      if (!(await leadExists(db, id))) throw refuse('not_found');
      return listRuns(db, { leadId: id, ...request.query });
    },
  });
}
