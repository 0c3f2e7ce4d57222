import { type Queryable, write } from '@fmhl/ops';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { actorOf, provider, staff } from '../../access.ts';
import { refuse } from '../../errors.ts';
import { idParams } from '../../id-params.ts';
import { cutPage, decodeCursor, momentCursor, pageOf } from '../../paging.ts';
import { ownProvider, ownWritingProvider } from '../subscriptions/index.ts';
import {
  cancelResponse,
  exportAccepted,
  exportListQuery,
  exportView,
  providerExportRequest,
  staffExportRequest,
  staffExportView,
} from './contract.ts';
import { type DownloadDeps, downloadExport } from './download-export.ts';
import { listExports, readExport } from './export-queries.ts';
import { viewExport, viewStaffExport } from './export-views.ts';
import { cancelExport, type ExportRequest, requestExport } from './request-export.ts';

export type ExportRouteDeps = DownloadDeps;

/** Who asks, and how what they see is shown. `scope` answers the provider whose exports these are; undefined for all. */
interface Face {
  readonly base: '/provider' | '/admin';
  readonly reads: ReturnType<typeof staff>;
  readonly writes: ReturnType<typeof staff>;
  readonly whose: string;
  readonly body: typeof providerExportRequest | typeof staffExportRequest;
  readonly item: typeof exportView | typeof staffExportView;
  readonly view: typeof viewExport | typeof viewStaffExport;
  readonly scope: (request: FastifyRequest, db: Queryable) => Promise<string | undefined>;
  /** The same for who wants a file. */
  readonly writingScope: Face['scope'];
}

const providerFace: Face = {
  base: '/provider',
  reads: provider,
  writes: provider,
  whose: 'the own rows',
  body: providerExportRequest,
  item: exportView,
  view: viewExport,
  scope: async (request, db) => (await ownProvider(db, actorOf(request))).id,
  writingScope: async (request, db) => (await ownWritingProvider(db, actorOf(request))).id,
};

const staffFace: Face = {
  base: '/admin',
  reads: staff('report.read'),
  writes: staff('report.export'),
  whose: 'all rows; audited',
  body: staffExportRequest,
  item: staffExportView,
  view: viewStaffExport,
  scope: async () => undefined,
  writingScope: async () => undefined,
};

/** Files of rows, for providers and for the staff: asked for, looked after, downloaded. */
export function exportRoutes(app: FastifyInstance, deps: ExportRouteDeps): void {
  for (const face of [providerFace, staffFace]) {
    requestRoute(app, face, deps);
    readRoutes(app, face, deps);
    cancelRoute(app, face, deps);
    downloadRoute(app, face, deps);
  }
}

const tags = ['reports'];

function requestRoute(app: FastifyInstance, face: Face, { db, now }: ExportRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: `${face.base}/reports/export`,
    config: { access: face.writes, idempotency: 'accepted' },
    schema: {
      tags,
      summary: `Ask for a CSV file of ${face.whose}`,
      body: face.body,
      response: { 202: exportAccepted },
    },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const asked = request.body as Pick<ExportRequest, 'type' | 'from' | 'to'>;
        const providerId = await face.writingScope(request, tx);
        return { status: 202, body: await requestExport(tx, { ...asked, providerId, actor: actorOf(request) }, now()) };
      }),
  });
}

function readRoutes(app: FastifyInstance, face: Face, { db }: ExportRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: `${face.base}/reports/exports`,
    config: { access: face.reads },
    schema: {
      tags,
      summary: 'Exports, newest first',
      querystring: exportListQuery,
      response: { 200: pageOf(face.item) },
    },
    handler: async (request) => {
      const { limit, cursor, status } = request.query;
      const after = decodeCursor(cursor, momentCursor);
      const providerId = await face.scope(request, db);
      const rows = await listExports(db, { ...(providerId && { providerId }), status, after, limit: limit + 1 });
      return cutPage(rows, limit, { item: face.view, cursor: (row) => [row.position, row.id] });
    },
  });
  routes.route({
    method: 'GET',
    url: `${face.base}/reports/exports/:id`,
    config: { access: face.reads },
    schema: { tags, summary: 'One export and how far it is', params: idParams, response: { 200: face.item } },
    handler: async (request) => {
      const row = await readExport(db, request.params.id, await face.scope(request, db));
      if (!row) throw refuse('not_found');
      return face.view(row);
    },
  });
}

function cancelRoute(app: FastifyInstance, face: Face, { db }: ExportRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: `${face.base}/reports/exports/:id/cancel`,
    config: { access: face.writes, idempotency: 'accepted' },
    schema: { tags, summary: 'End an export that is not ready', params: idParams, response: { 200: cancelResponse } },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const providerId = await face.scope(request, tx);
        const cancelled = await cancelExport(tx, { id: request.params.id, providerId, actor: actorOf(request) });
        return { status: 200, body: cancelled };
      }),
  });
}

function downloadRoute(app: FastifyInstance, face: Face, deps: ExportRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: `${face.base}/reports/exports/:id/download`,
    config: { access: face.writes },
    schema: {
      tags,
      summary: 'The file, or 302 to a link that is good for an hour',
      params: idParams,
      response: { 200: z.string(), 302: z.null() },
    },
    handler: async (request, reply) => {
      const providerId = await face.scope(request, deps.db);
      const found = await downloadExport({ id: request.params.id, providerId, actor: actorOf(request) }, deps);
      return sendFile(reply, found);
    },
  });
}

function sendFile(reply: FastifyReply, { file, name }: Awaited<ReturnType<typeof downloadExport>>) {
  if ('url' in file) return reply.redirect(file.url, 302);
  return reply
    .type('text/csv; charset=utf-8')
    .header('content-length', String(file.bytes))
    .header('content-disposition', `attachment; filename="${name}"`)
    .send(file.stream);
}
