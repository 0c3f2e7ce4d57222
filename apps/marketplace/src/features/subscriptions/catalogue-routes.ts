import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import { cutPage, decodeCursor, pageOf, pageQuery } from '../../paging.ts';
import { changeLevel, changeNiche, createLevel, createNiche, type RequeueApproved } from './catalogue.ts';
import { listLevels, listNiches } from './catalogue-queries.ts';
import {
  changeLevelRequest,
  changeNicheRequest,
  createLevelRequest,
  createNicheRequest,
  level,
  niche,
} from './contract.ts';
import { levelCursor, levelQuery } from './provider-routes.ts';
import { slugCursor } from './public-routes.ts';
import { viewLevel, viewNiche } from './views.ts';

export interface CatalogueRouteDeps {
  db: Database;
  requeueApproved: RequeueApproved;
}

const tags = ['catalogue'];
// Whoever reviews leads reads the names and terms of the catalogue.
const reading = { access: staff('lead.read') };
const writing = { access: staff('catalogue.write'), idempotency: 'accepted' as const };

/** Niches and levels, for staff. */
export function catalogueRoutes(app: FastifyInstance, deps: CatalogueRouteDeps): void {
  nicheRoutes(app, deps);
  levelRoutes(app, deps);
}

function nicheRoutes(app: FastifyInstance, { db, requeueApproved }: CatalogueRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/admin/niches',
    config: reading,
    schema: { tags, summary: 'All niches', querystring: pageQuery, response: { 200: pageOf(niche) } },
    handler: async ({ query: { limit, cursor } }) => {
      const [after] = cursor === undefined ? [] : decodeCursor(cursor, slugCursor);
      const rows = await listNiches(db, { after, limit: limit + 1, onlyActive: false });
      return cutPage(rows, limit, { item: viewNiche, cursor: ({ slug }) => [slug] });
    },
  });
  routes.route({
    method: 'POST',
    url: '/admin/niches',
    config: writing,
    schema: { tags, summary: 'Add a niche', body: createNicheRequest, response: { 201: niche } },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const row = await createNiche(tx, request.body, actorOf(request));
        return { status: 201, body: viewNiche(row) };
      }),
  });
  routes.route({
    method: 'PATCH',
    url: '/admin/niches/:id',
    config: writing,
    schema: {
      tags,
      summary: 'Change, pause or resume a niche',
      params: idParams,
      body: changeNicheRequest,
      response: { 200: niche },
    },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const input = { id: request.params.id, change: request.body, actor: actorOf(request) };
        return { status: 200, body: viewNiche(await changeNiche(tx, input, { requeueApproved })) };
      }),
  });
}

function levelRoutes(app: FastifyInstance, { db }: CatalogueRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/admin/levels',
    config: reading,
    schema: { tags, summary: 'All levels', querystring: levelQuery, response: { 200: pageOf(level) } },
    handler: async ({ query: { limit, cursor, niche: slug } }) => {
      const after = decodeCursor(cursor, levelCursor);
      const rows = await listLevels(db, { niche: slug, onlyActive: false, after, limit: limit + 1 });
      return cutPage(rows, limit, { item: viewLevel, cursor: (row) => [row.niche, row.ord] });
    },
  });
  routes.route({
    method: 'POST',
    url: '/admin/levels',
    config: writing,
    schema: { tags, summary: 'Add a level to a niche', body: createLevelRequest, response: { 201: level } },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const row = await createLevel(tx, request.body, actorOf(request));
        return { status: 201, body: viewLevel(row) };
      }),
  });
  routes.route({
    method: 'PATCH',
    url: '/admin/levels/:id',
    config: writing,
    schema: {
      tags,
      summary: 'Change a level, but for its price',
      params: idParams,
      body: changeLevelRequest,
      response: { 200: level },
    },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const row = await changeLevel(tx, { id: request.params.id, change: request.body, actor: actorOf(request) });
        return { status: 200, body: viewLevel(row) };
      }),
  });
}
