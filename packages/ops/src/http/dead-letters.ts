import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  defaultExportColumns,
  letterAttempts,
  letterDetail,
  letterExportQuery,
  letterList,
  letterListQuery,
  letterPayload,
  letterQuery,
  letterVersion,
  listLetters,
  openCursors,
  openExporter,
  readAttempts,
  type Viewing,
  viewLetter,
  viewWholePayload,
} from '../dead-letter-search/index.ts';
import { refuse } from '../refusals/index.ts';
import { checkAccess, judgeReveal, mayReveal } from './access.ts';
import type { AdminDeps } from './admin.ts';
import { type Call, idParam, operation, reason } from './route.ts';
import { savedViewRoutes } from './saved-views.ts';

/** Everything one reads of dead letters. */
export function deadLetterReadRoutes(app: FastifyInstance, deps: AdminDeps): void {
  listRoute(app, deps);
  entryRoutes(app, deps);
  exportRoute(app, deps);
  savedViewRoutes(app, deps);
}

function listRoute(app: FastifyInstance, { db, registry, web }: AdminDeps): void {
  const cursors = openCursors(db);
  operation(
    app,
    {
      method: 'GET',
      url: '/queues/dlq',
      permission: 'dlq.read',
      summary: 'Dead letters, newest failure first; by page or by cursor',
      query: letterListQuery,
      answer: letterList,
    },
    ({ query, actor, authorization }) =>
      listLetters({ db, registry, cursors, actor, reveal: judgeReveal(authorization, clock(web)) }, query, clock(web)),
  );
}

function entryRoutes(app: FastifyInstance, { db, registry, web }: AdminDeps): void {
  const permission = 'dlq.read';
  operation(
    app,
    {
      method: 'GET',
      url: '/queues/dlq/:id',
      permission,
      summary: 'One dead letter with all that is known of it; audited',
      params: idParam,
      query: letterQuery,
      answer: letterDetail,
    },
    async (call) => {
      const { params, request, reply } = call;
      const viewing = { ...viewingOf(call, clock(web)), registry };
      const seen = request.headers['if-none-match'];
      if (seen !== undefined) {
        const version = await letterVersion(db, params.id);
        const etag = version === undefined ? '' : etagOf(version, viewing.isClear);
        if (etag !== '' && isAmong(etag, seen)) return reply.code(304).header('etag', etag).send();
      }
      const letter = await viewLetter(db, viewing);
      reply.header('etag', etagOf(letter.version, viewing.isClear));
      return letter;
    },
  );
  operation(
    app,
    {
      method: 'GET',
      url: '/queues/dlq/:id/attempts',
      permission,
      summary: 'Every attempt at the work of a dead letter',
      params: idParam,
      answer: letterAttempts,
    },
    async ({ params }) => ({ attempts: await readAttempts(db, params.id) }),
  );
  operation(
    app,
    {
      method: 'GET',
      url: '/queues/dlq/:id/payload',
      permission,
      summary: 'The whole payload of a dead letter; audited',
      params: idParam,
      query: letterQuery,
      answer: letterPayload,
    },
    (call) => viewWholePayload(db, { ...viewingOf(call, clock(web)), registry }),
  );
}

/** How much of the payload the caller sees. Without a wish it is all that they may. */
function viewingOf(
  call: Call<{ id: string }, z.infer<typeof letterQuery>, unknown>,
  now: Date,
): Omit<Viewing, 'registry'> {
  const { params, query, actor, authorization } = call;
  const viewing = { id: params.id, actor };
  if (query.payload === 'masked') return { ...viewing, isClear: false };
  if (query.payload === undefined) return { ...viewing, isClear: mayReveal(authorization, now) };
  checkAccess({ permission: 'dlq.reveal', secondFactor: 'fresh' }, authorization, now);
  const given = reason.safeParse(query.reason);
  if (!given.success)
    throw refuse('reason_required', { faults: [{ at: 'query.reason', message: 'must have 5 to 500 characters' }] });
  return { ...viewing, isClear: true, reason: given.data };
}

/** The version; a masked letter is another document than one in clear. */
function etagOf(version: number, isClear: boolean): string {
  return isClear ? `"${version}"` : `"${version}-masked"`;
}

function isAmong(etag: string, header: string): boolean {
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

const contentTypes = { csv: 'text/csv; charset=utf-8', ndjson: 'application/x-ndjson; charset=utf-8' } as const;

function exportRoute(app: FastifyInstance, { db, registry, web }: AdminDeps): void {
  const exportLetters = openExporter({ db, registry });
  operation(
    app,
    {
      method: 'GET',
      url: '/queues/dlq/export',
      permission: 'dlq.export',
      summary: 'Dead letters as CSV or NDJSON, from one snapshot; audited',
      query: letterExportQuery,
      answer: z.string(),
    },
    async ({ query, actor, authorization, reply }) => {
      const { columns = defaultExportColumns, ...selecting } = query;
      if (columns.includes('payload')) {
        checkAccess({ permission: 'dlq.reveal', secondFactor: 'fresh' }, authorization, clock(web));
      }
      const { rows, isCut, stream } = await exportLetters(
        { ...selecting, columns, actor, reveal: judgeReveal(authorization, clock(web)) },
        clock(web),
      );
      reply.type(contentTypes[query.format]);
      reply.header('x-rows', String(rows));
      if (isCut) reply.header('x-rows-cut', 'true');
      reply.header('content-disposition', `attachment; filename="dead-letters.${query.format}"`);
      return stream;
    },
  );
}

function clock({ now }: AdminDeps['web']): Date {
  return now?.() ?? new Date();
}
