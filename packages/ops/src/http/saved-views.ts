import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { listViews, removeView, savedView, savedViewBody, savedViews, saveView } from '../dead-letter-search/index.ts';
import { checkAccess, judgeReveal } from './access.ts';
import type { AdminDeps } from './admin.ts';
import { idParam, operation } from './route.ts';
import { write } from './write.ts';

const shares = 'dlq.annotate';

/** Filters under names. */
export function savedViewRoutes(app: FastifyInstance, { db, registry }: AdminDeps): void {
  const permission = 'dlq.read';
  operation(
    app,
    {
      method: 'GET',
      url: '/views',
      permission,
      summary: 'Saved filters: of the system, own, shared',
      answer: savedViews,
    },
    async ({ actor }) => ({ views: await listViews(db, actor) }),
  );
  operation(
    app,
    {
      method: 'POST',
      url: '/views',
      permission,
      idempotency: 'required',
      summary: 'Saves a filter under a name',
      body: savedViewBody,
      answer: savedView,
      status: 201,
    },
    ({ body, actor, authorization, request, reply }) => {
      if (body.scope === 'all') checkAccess({ permission: shares }, authorization, new Date());
      return write(db, request, reply, async (tx) => ({
        status: 201,
        body: await saveView(tx, { ...body, actor, registry, reveal: judgeReveal(authorization, new Date()) }),
      }));
    },
  );
  operation(
    app,
    {
      method: 'DELETE',
      url: '/views/:id',
      permission,
      summary: 'Removes a saved filter',
      params: idParam,
      answer: z.object({ ok: z.literal(true) }),
    },
    ({ params, actor, authorization, request, reply }) =>
      write(db, request, reply, async (tx) => {
        await removeView(tx, { id: params.id, actor, mayShare: authorization.permissions.has(shares) });
        return { status: 200, body: { ok: true } };
      }),
  );
}
