import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  annotations,
  beginReclassification,
  deadLetterGroupDetail,
  deadLetterGroups,
  fixedInBody,
  groupSorts,
  listGroups,
  markFixed,
  previewReclassification,
  reclassification,
  reclassifyBody,
  resolveFingerprint,
  showGroup,
} from '../dead-letter-groups/index.ts';
import { openCursors } from '../dead-letter-search/index.ts';
import { judgeReveal } from './access.ts';
import type { AdminDeps } from './admin.ts';
import { annotationRoutes } from './annotations.ts';
import { count, operation } from './route.ts';
import { write } from './write.ts';

const groups = '/queues/dlq/groups';

/** A fingerprint, or its first 8 characters or more. */
export const fingerprintParam = z.strictObject({
  fp: z.string().regex(/^[\x21-\x7e]{8,200}$/, 'must be a fingerprint, or its first 8 characters or more'),
});

/** Groups of dead letters, and what people decide of a group or a letter. */
export function deadLetterGroupRoutes(app: FastifyInstance, deps: AdminDeps): void {
  listRoute(app, deps);
  showRoute(app, deps);
  reclassifyRoute(app, deps);
  fixedInRoute(app, deps);
  annotationRoutes(app, deps, {
    base: '/queues/dlq/:id',
    params: z.strictObject({ id: z.uuid('must be a UUID') }),
    subjectOf: async ({ id }) => ({ kind: 'letter', id }),
    what: 'a dead letter',
  });
  annotationRoutes(app, deps, {
    base: `${groups}/:fp`,
    params: fingerprintParam,
    subjectOf: async ({ fp }) => ({ kind: 'group', fingerprint: await resolveFingerprint(deps.db, fp) }),
    what: 'a group',
  });
}

function listRoute(app: FastifyInstance, { db, registry }: AdminDeps): void {
  const cursors = openCursors(db);
  operation(
    app,
    {
      method: 'GET',
      url: groups,
      permission: 'dlq.read',
      summary: 'Dead letters by what killed them; counts obey the filter',
      query: z.strictObject({
        q: z.string().optional(),
        sort: z.enum(groupSorts).optional(),
        limit: count(1, 200).optional(),
        cursor: z.string().max(2_000).optional(),
      }),
      answer: deadLetterGroups,
    },
    async ({ query, actor, authorization }) =>
      listGroups({ db, registry, cursors }, { ...query, actor, reveal: judgeReveal(authorization, new Date()) }),
  );
}

function showRoute(app: FastifyInstance, { db }: AdminDeps): void {
  operation(
    app,
    {
      method: 'GET',
      url: `${groups}/:fp`,
      permission: 'dlq.read',
      summary: 'One group: its notes, the deploys around it, and why it was grouped so',
      params: fingerprintParam,
      answer: deadLetterGroupDetail,
    },
    async ({ params }) => showGroup(db, await resolveFingerprint(db, params.fp)),
  );
}

function fixedInRoute(app: FastifyInstance, { db }: AdminDeps): void {
  operation(
    app,
    {
      method: 'PUT',
      url: `${groups}/:fp/fixed-in`,
      permission: 'dlq.annotate',
      summary: 'Say which version fixed a group; a later death on it makes the group regressed',
      params: fingerprintParam,
      body: fixedInBody,
      answer: annotations,
    },
    async ({ params, body: { version, reason, expected_version: expectedVersion }, actor, request, reply }) => {
      const fingerprint = await resolveFingerprint(db, params.fp);
      const fix = { fingerprint, version, reason, actor, expectedVersion };
      return write(db, request, reply, async (tx) => ({ status: 200, body: await markFixed(tx, fix) }));
    },
  );
}

function reclassifyRoute(app: FastifyInstance, { db, web: { log } }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: `${groups}/reclassify`,
      permission: 'dlq.edit',
      fresh: true,
      idempotency: 'required',
      summary: 'Group the letters of older classifiers anew; `dry_run` shows splits and merges',
      body: reclassifyBody,
      answer: reclassification,
    },
    async ({ body: { to, dry_run }, actor, request, reply }) =>
      write(db, request, reply, async (tx) => {
        if (dry_run) return { status: 200, body: await previewReclassification(tx, to) };
        const { answer, run } = await beginReclassification(db, tx, { to, actor });
        tx.afterCommit(() => void run().catch((error: unknown) => log.error('reclassification_failed', error)));
        return { status: 202, body: answer };
      }),
  );
}
