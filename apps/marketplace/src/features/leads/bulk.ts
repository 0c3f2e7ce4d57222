import type { Database, Tx } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { eachOnce } from '../../each-once.ts';
import type { Log } from '../../log.ts';
import type { ProductMetrics } from '../../metrics.ts';
import { bulkRequest, bulkResults } from './contract.ts';
import { approveLead, distributeLead, rejectLead } from './review.ts';

export interface BulkDeps {
  readonly db: Database;
  readonly metrics: Pick<ProductMetrics, 'leadsApproved'>;
  readonly log: Log;
}

/** One decision about many leads; each is a commit of its own. */
export function bulkRoute(app: FastifyInstance, deps: BulkDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/leads/bulk',
    config: { access: staff('lead.review', 'fresh'), idempotency: 'required' },
    schema: {
      tags: ['leads'],
      summary:
        'Approve, reject or distribute up to 50 leads; each is a transaction of its own, with a result of its own',
      body: bulkRequest,
      response: { 200: bulkResults },
    },
    handler: (request, reply) => {
      const { action, ids, reason = '' } = request.body;
      const actor = actorOf(request);
      const act = (tx: Tx, leadId: string): Promise<unknown> => {
        if (action === 'approve') return approveLead(tx, { leadId, actor }, deps);
        if (action === 'reject') return rejectLead(tx, { leadId, reason, actor }, deps);
        return distributeLead(tx, { leadId, memo: reason, actor });
      };
      return eachOnce(deps.db, request, reply, { ids, act }, deps);
    },
  });
}
