import type { Database } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { staff } from '../../access.ts';
import { reportAnswer, type ReportName, reportQueries } from './contract.ts';
import { reportFormulas } from './report-formulas.ts';
import { type ReportRequest, runReport } from './report.ts';

export interface ReportRouteDeps {
  readonly db: Database;
  readonly now: () => Date;
}

/** One route for each report; what its fields count stands in the reference. */
export function reportRoutes(app: FastifyInstance, deps: ReportRouteDeps): void {
  for (const name of Object.keys(reportQueries) as ReportName[]) reportRoute(app, name, deps);
}

function reportRoute(app: FastifyInstance, name: ReportName, { db, now }: ReportRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: `/admin/reports/${name}`,
    config: { access: staff('report.read') },
    schema: {
      tags: ['reports'],
      summary: reportFormulas[name].about,
      querystring: reportQueries[name],
      response: { 200: reportAnswer(name) },
    },
    handler: (request) => runReport(db, name, request.query as ReportRequest, now()),
  });
}
