import type { FastifyInstance } from 'fastify';
import type { QueueOverview } from '../queues/index.ts';

export interface AdminDeps {
  readonly overview: () => Promise<QueueOverview>;
}

/** The operations API, to be mounted under `/api/v1/admin` of an app on which `web` was called. */
export function adminRoutes(deps: AdminDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get(
      '/queues',
      {
        config: { access: { permission: 'queue.read', secondFactor: 'verified' } },
        schema: { tags: ['operations'], summary: 'Every queue: what waits, what runs, what died' },
      },
      async () => deps.overview(),
    );
  };
}
