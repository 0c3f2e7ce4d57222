import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { sourceChanged, sourceList, sourceMemo, sourceParams, sourceQuery } from './source-contract.ts';
import { blockSource, listSources, unblockSource } from './sources.ts';

const tags = ['leads'];

/** Where leads come from, and whose leads are refused. */
export function sourceRoutes(app: FastifyInstance, { db }: { db: Database }): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/admin/sources',
    config: { access: staff('lead.read') },
    schema: {
      tags,
      summary: 'Sources of leads, in order of their names',
      querystring: sourceQuery,
      response: { 200: sourceList },
    },
    handler: (request) => listSources(db, request.query),
  });
  const changes = [
    { verb: 'block', blocked: true, change: blockSource, summary: 'Refuse further leads of a source' },
    { verb: 'unblock', blocked: false, change: unblockSource, summary: 'Take leads of a source in again' },
  ];
  for (const { verb, blocked, change, summary } of changes) {
    routes.route({
      method: 'POST',
      url: `/admin/sources/:source/${verb}`,
      config: { access: staff('lead.review'), idempotency: 'accepted' },
      schema: { tags, summary, params: sourceParams, body: sourceMemo, response: { 200: sourceChanged } },
      handler: (request, reply) =>
        write(db, request, reply, async (tx) => {
          const { source } = request.params;
          const { changed } = await change(tx, { source, memo: request.body.memo, actor: actorOf(request) });
          return { status: 200, body: { source, blocked, changed } };
        }),
    });
  }
}
