import type { Tx } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { stepsOnce } from '../../each-once.ts';
import type { AdminBadLeadDeps } from './admin-routes.ts';
import { type MarkBadRequest, markBadRequest, markBadResponse } from './contract.ts';
import { chooseBad, markLeadBad, planMarkBad, type Selection, sumOf } from './mark-bad.ts';
import { viewStep } from './views.ts';

/** Marks leads bad for all their buyers, after a look at what that refunds. */
export function markBadRoute(app: FastifyInstance, deps: AdminBadLeadDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/leads/mark-bad',
    config: { access: staff('money.write', 'fresh'), idempotency: 'required' },
    schema: {
      tags: ['bad leads'],
      summary: 'Mark sold leads bad for all and refund their buyers, or see what that would refund',
      body: markBadRequest,
      response: { 200: markBadResponse },
    },
    handler: async (request, reply) => {
      const { memo, dry_run, expected } = request.body;
      const selection = selectionOf(request.body);
      if (dry_run || !expected) {
        const { plan, hasMore } = await planMarkBad(deps.db, selection);
        return { ...plan, dry_run: true, has_more: hasMore, results: [] };
      }
      const actor = actorOf(request);
      const steps = {
        begin: (tx: Tx) => chooseBad(tx, { selection, expected }),
        act: (tx: Tx, leadId: string) => markLeadBad(tx, { leadId, memo, actor }, deps),
      };
      const { begun, results } = await stepsOnce(deps.db, request, reply, steps, deps);
      const done = sumOf(results.flatMap((one) => one.done ?? []));
      return { ...done, dry_run: false, has_more: begun.hasMore, results: results.map(viewStep) };
    },
  });
}

function selectionOf({ ids, source }: MarkBadRequest): Selection {
  return source === undefined ? { ids: ids ?? [] } : { source };
}
