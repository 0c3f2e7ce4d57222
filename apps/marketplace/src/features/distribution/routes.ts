import type { Database } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { staff } from '../../access.ts';
import { refuse } from '../../errors.ts';
import { runView } from './contract.ts';
import { leadExists, readRuns } from './runs.ts';

/** What the staff may read of sales. */
export function distributionRoutes(app: FastifyInstance, { db }: { db: Database }): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/admin/leads/:id/runs',
    config: { access: staff('lead.read') },
    schema: {
      tags: ['leads'],
      summary: 'The attempts to sell a lead, with the trace of their decisions',
      params: z.strictObject({ id: z.uuid('must be a UUID') }),
      response: {
        200: z.object({ items: z.array(runView), pagination: z.object({ limit: z.int(), next_cursor: z.null() }) }),
      },
    },
    handler: async (request) => {
      const { id } = request.params;
      if (!(await leadExists(db, id))) throw refuse('not_found');
      return { items: await readRuns(db, id), pagination: { limit: 200, next_cursor: null } };
    },
  });
}
