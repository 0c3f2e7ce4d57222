import type { FastifyInstance, FastifySchema } from 'fastify';
import { z } from 'zod';
import type { QueueOverview } from '../queues/index.ts';
import { jsonBody } from './json-body.ts';
import { web, type WebOptions } from './web.ts';

export interface AdminDeps {
  readonly web: WebOptions;
  readonly overview: () => Promise<QueueOverview>;
  /** What the contract says of each answer, for the host's documentation. */
  readonly answers: { readonly queues: z.ZodType };
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
        schema: described('Every queue: what waits, what runs, what died', deps.answers.queues),
        serializerCompiler: () => JSON.stringify,
      },
      async () => deps.overview(),
    );
  };
}

/** What a route says of itself where the host documents its API. The plugin that does so adds these keys to Fastify's type. */
function described(summary: string, answer: z.ZodType): FastifySchema & { tags: string[]; summary: string } {
  return { tags: ['operations'], summary, response: { 200: z.toJSONSchema(answer) } };
}
