import type { FastifyInstance } from 'fastify';
import type { QueueOverview } from '../queues/index.ts';
import { jsonBody } from './json-body.ts';
import { web, type WebOptions } from './web.ts';

export interface AdminDeps {
  readonly web: WebOptions;
  readonly overview: () => Promise<QueueOverview>;
}

/** The operations API, to be mounted under `/api/v1/admin`. It brings its own hooks and shape of errors. */
export function adminRoutes(deps: AdminDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    jsonBody(app);
    web(app, deps.web);
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
