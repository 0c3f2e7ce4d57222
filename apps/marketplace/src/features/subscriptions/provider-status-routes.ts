import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import { providerMemo, providerTurned } from './provider-card-contract.ts';
import { closeByStaff, type ProviderStatusDeps, reinstateByStaff, suspendByStaff } from './provider-status.ts';

export interface ProviderStatusRouteDeps extends ProviderStatusDeps {
  readonly db: Database;
  readonly now: () => Date;
}

const acts = [
  { verb: 'suspend', act: suspendByStaff, summary: 'Stop a provider from buying, and end its sessions' },
  {
    verb: 'reinstate',
    act: reinstateByStaff,
    summary: 'Let a suspended provider buy again, as far as its balance pays',
  },
  { verb: 'close', act: closeByStaff, summary: 'End a suspended provider for good; money and leads stay' },
] as const;

/** What the staff make of a provider. */
export function providerStatusRoutes(app: FastifyInstance, deps: ProviderStatusRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  for (const { verb, act, summary } of acts) {
    routes.route({
      method: 'POST',
      url: `/admin/providers/:id/${verb}`,
      config: { access: staff('provider.write'), idempotency: 'accepted' },
      schema: { tags: ['providers'], summary, params: idParams, body: providerMemo, response: { 200: providerTurned } },
      handler: (request, reply) =>
        write(deps.db, request, reply, async (tx) => {
          const { memo } = request.body;
          const given = { providerId: request.params.id, actor: actorOf(request), memo, now: deps.now() };
          return { status: 200, body: await act(tx, given, deps) };
        }),
    });
  }
}
