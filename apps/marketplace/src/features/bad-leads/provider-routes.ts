import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, provider } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import { cutPage, decodeCursor, momentCursor, pageOf, pageQuery } from '../../paging.ts';
import { ownProvider, ownWritingProvider } from '../subscriptions/index.ts';
import { ownReport, reportRequest, reportResponse } from './contract.ts';
import { listOwnReports } from './queries.ts';
import { reportBadLead, type ReportDeps } from './report.ts';
import { viewReport } from './views.ts';

export interface ProviderReportDeps extends ReportDeps {
  readonly db: Database;
}

/** The buyer's side: to report a bad lead, and to see what came of it. */
export function providerReportRoutes(app: FastifyInstance, deps: ProviderReportDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'POST',
    url: '/provider/inbox/:id/report',
    config: { access: provider, idempotency: 'accepted' },
    schema: {
      tags: ['inbox'],
      summary: 'Report a bought lead as bad',
      params: idParams,
      body: reportRequest,
      response: { 200: reportResponse, 201: reportResponse },
    },
    handler: (request, reply) =>
      write(deps.db, request, reply, async (tx) => {
        const actor = actorOf(request);
        const { id: providerId } = await ownWritingProvider(tx, actor);
        const report = { ...request.body, assignmentId: request.params.id, providerId, actor };
        const { changed, ...row } = await reportBadLead(tx, report, deps);
        const { notes: _kept, ...view } = viewReport(row);
        return { status: changed ? 201 : 200, body: { ...view, changed } };
      }),
  });
  routes.route({
    method: 'GET',
    url: '/provider/reports/bad-leads',
    config: { access: provider },
    schema: {
      tags: ['inbox'],
      summary: 'The own reports of bad leads and their outcome, newest first',
      querystring: pageQuery,
      response: { 200: pageOf(ownReport) },
    },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const after = decodeCursor(cursor, momentCursor);
      const { id: providerId } = await ownProvider(deps.db, actorOf(request));
      const rows = await listOwnReports(deps.db, { providerId, after, limit: limit + 1 });
      return cutPage(rows, limit, { item: viewReport, cursor: (row) => [row.position, row.assignment_id] });
    },
  });
}
