import type { Database } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { refuse } from '../../errors.ts';
import { cutPage, decodeCursor, pageOf, pageQuery } from '../../paging.ts';
import { formOf } from './catalogue.ts';
import { listNiches, nicheBySlug } from './catalogue-queries.ts';
import { nicheForm, publicNiche } from './contract.ts';

const tags = ['niches'];
export const slugCursor = z.tuple([z.string().regex(/^[a-z0-9-]{1,64}$/)]);

/** What a consumer needs to ask for offers. */
export function publicNicheRoutes(app: FastifyInstance, { db }: { db: Database }): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/niches',
    config: { access: 'public' },
    schema: { tags, summary: 'Active niches', querystring: pageQuery, response: { 200: pageOf(publicNiche) } },
    handler: async ({ query: { limit, cursor } }) => {
      const [after] = cursor === undefined ? [] : decodeCursor(cursor, slugCursor);
      const rows = await listNiches(db, { after, limit: limit + 1, onlyActive: true });
      return cutPage(rows, limit, { item: ({ slug, name }) => ({ slug, name }), cursor: ({ slug }) => [slug] });
    },
  });
  routes.route({
    method: 'GET',
    url: '/niches/:slug/form',
    config: { access: 'public' },
    schema: {
      tags,
      summary: 'The questions of a niche, and the consent text',
      params: z.strictObject({ slug: z.string().regex(/^[a-z0-9-]{1,64}$/) }),
      response: { 200: nicheForm },
    },
    handler: async ({ params }) => {
      const niche = await nicheBySlug(db, params.slug);
      if (!niche) throw refuse('not_found');
      return formOf(niche);
    },
  });
}
