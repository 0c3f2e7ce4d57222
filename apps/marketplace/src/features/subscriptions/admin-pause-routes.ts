import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import type { Log } from '../../log.ts';
import { pauseByAdmin, resumeByAdmin } from './admin-pause.ts';
import { changedSubscription, pauseRequest } from './contract.ts';
import { viewSubscription } from './views.ts';

export interface AdminPauseRouteDeps {
  db: Database;
  log: Log;
}

const acts = [
  {
    verb: 'pause',
    act: pauseByAdmin,
    summary: 'Pause a subscription, so that neither its owner nor money resumes it',
  },
  {
    verb: 'resume',
    act: resumeByAdmin,
    summary: 'End the pause of a subscription: what its owner had paused stays so, the balance decides about all else',
  },
] as const;

/** What the staff do about one subscription. */
export function adminPauseRoutes(app: FastifyInstance, { db, log }: AdminPauseRouteDeps): void {
  for (const { verb, act, summary } of acts) {
    app.withTypeProvider<ZodTypeProvider>().route({
      method: 'POST',
      url: `/admin/subscriptions/:id/${verb}`,
      config: { access: staff('provider.write'), idempotency: 'accepted' },
      schema: {
        tags: ['providers'],
        summary,
        params: idParams,
        body: pauseRequest,
        response: { 200: changedSubscription },
      },
      handler: (request, reply) =>
        write(db, request, reply, async (tx) => {
          const input = { id: request.params.id, memo: request.body.memo, actor: actorOf(request) };
          const { subscription, changed } = await act(tx, input, { log });
          return { status: 200, body: { ...viewSubscription(subscription), changed } };
        }),
    });
  }
}
