import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  type AnchorStore,
  type AuditAnchor,
  type AuditKey,
  auditList,
  auditVerdict,
  listAudit,
  readAnchors,
  verifyAudit,
} from '../audit/index.ts';
import { openCursors } from '../dead-letter-search/index.ts';
import { refuse } from '../refusals/index.ts';
import type { AdminDeps } from './admin.ts';
import { count, operation } from './route.ts';

/** What proves the audit log. */
export interface AuditProof {
  readonly keys: readonly AuditKey[];
  /** Undefined where the host keeps no anchors. */
  readonly anchors: AnchorStore | undefined;
}

const permission = 'audit.read';
const unproven: AuditProof = { keys: [], anchors: undefined };

/** Who did what, and whether that is still what was written. */
export function auditRoutes(app: FastifyInstance, deps: AdminDeps): void {
  listRoute(app, deps);
  verifyRoute(app, deps);
}

const moment = z.iso.datetime({ offset: true, error: 'must be a time like 2026-01-31T12:00:00Z' });

const listQuery = z.strictObject({
  /** Id of who acted. */
  actor: z.string().max(200).optional(),
  action: z
    .string()
    .regex(/^[a-z_]+\.[a-z_]+$/, 'must be like lead.approved')
    .optional(),
  /** A type, or one of it: `lead`, `lead:<id>`. */
  target: z
    .string()
    .max(300)
    .regex(/^[a-z_]+(:.+)?$/u, 'must be like lead, or lead:<id>')
    .optional(),
  from: moment.optional(),
  to: moment.optional(),
  limit: count(1, 200).prefault('50'),
  cursor: z.string().max(1_000).optional(),
});

function listRoute(app: FastifyInstance, { db, web: { now = () => new Date() } }: AdminDeps): void {
  const cursors = openCursors(db);
  operation(
    app,
    {
      method: 'GET',
      url: '/audit',
      permission,
      summary: 'Who did what, to what and why, newest first',
      query: listQuery,
      answer: auditList,
    },
    async ({ query: { actor, action, target = '', from, to, limit, cursor } }) => {
      const [targetType, ...id] = target.split(':');
      const wanted = {
        actor,
        action,
        targetType: targetType || undefined,
        targetId: id.join(':') || undefined,
        from,
        to,
      };
      const scope = { sort: '-seq', filter: `audit ${JSON.stringify(wanted)}` };
      const begin = cursor === undefined ? undefined : await cursors.read(cursor, scope);
      const before = begin && Number(begin.position[0]);
      const times = { from: dateOf(from), to: dateOf(to) };
      const rows = await listAudit(db, { ...wanted, ...times, before, limit: limit + 1 });
      const items = rows.slice(0, limit);
      const last = rows.length > limit ? items.at(-1) : undefined;
      const next = { position: [last?.seq ?? 0], towards: 'next', begun: begin?.begun ?? now().toISOString() } as const;
      return { items, pagination: { limit, next_cursor: last ? await cursors.sign(next, scope) : null } };
    },
  );
}

const dateOf = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));

/** Anchors of the caller are few lines of JSON: the decisive ones of a file. */
const verifyQuery = z.strictObject({ anchor: z.string().min(1).max(8_000).optional() });

function verifyRoute(app: FastifyInstance, deps: AdminDeps): void {
  const { db, audit: { keys, anchors: kept } = unproven } = deps;
  let underWay = false;
  operation(
    app,
    {
      method: 'GET',
      url: '/audit/verify',
      permission,
      summary: 'Read the whole audit log and name the first row that was changed, moved or removed; one look at a time',
      query: verifyQuery,
      answer: auditVerdict,
    },
    async ({ query, reply }) => {
      if (underWay) throw refuse('in_progress');
      underWay = true;
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      try {
        const anchors = [...given(query.anchor), ...(await own(deps))];
        return await verifyAudit(db, { keys, anchors, isAnchored: kept !== undefined, signal: gone.signal });
      } finally {
        underWay = false;
      }
    },
  );
}

function given(lines: string | undefined): readonly AuditAnchor[] {
  if (lines === undefined) return [];
  const anchors = readAnchors(lines);
  if (anchors.length > 0) return anchors;
  throw refuse('validation_failed', {
    faults: [{ at: 'query.anchor', message: 'must be lines that an anchor wrote' }],
  });
}

/** All of them: each is compared where the walk comes by. A place that cannot be read leaves the look without, which its answer says. */
async function own({ audit: { anchors } = unproven, web: { log } }: AdminDeps): Promise<readonly AuditAnchor[]> {
  try {
    return readAnchors((await anchors?.read()) ?? '');
  } catch (error) {
    log.error('audit_anchor_failed', error);
    return [];
  }
}
