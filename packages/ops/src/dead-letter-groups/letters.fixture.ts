import fastify from 'fastify';
import { inject } from 'vitest';
import { z } from 'zod';
import type { Actor } from '../audit/index.ts';
import { type Queryable, sql } from '../postgres/index.ts';
import { defineQueue } from '../queues/index.ts';
import { openTestPlane, type TestPlane } from '../testing/index.ts';

const kinds = { task: { schema: z.strictObject({ n: z.int() }), sideEffect: 'guarded' } } as const;
export const work = defineQueue({ name: 'work', aliases: ['labour'], attempts: 2, backoffMs: [10], kinds });
export const mail = defineQueue({ name: 'mail', attempts: 2, backoffMs: [10], kinds });

export const ana: Actor = { id: '6b0e7a3c-0000-4000-8000-000000000001', name: 'Ana', via: 'http' };

export interface LetterDraft {
  readonly fingerprint?: string;
  readonly queue?: string;
  readonly cause?: string;
  readonly version?: string | null;
  readonly state?: string;
  readonly errorType?: string;
  readonly message?: string;
  /** Age of its last death, in hours. Default 0. */
  readonly hoursAgo?: number;
}

/** Writes letters as a capture does, one statement for all, and answers their ids. */
export async function insertLetters(db: Queryable, drafts: readonly LetterDraft[]): Promise<string[]> {
  const rows = drafts.map((draft) => ({
    fingerprint: draft.fingerprint ?? 'v1_0000000000000001',
    queue: draft.queue ?? 'work',
    cause: draft.cause ?? 'exhausted',
    version: draft.version === undefined ? '1.0.0' : draft.version,
    state: draft.state ?? 'pending',
    type: draft.errorType ?? 'Error',
    message: draft.message ?? 'no connection',
    hours: draft.hoursAgo ?? 0,
  }));
  const { rows: made } = await db.query<{ id: string }>(sql`
    with draft as (
      select *, clock_timestamp() - hours * interval '1 hour' as at
      from json_to_recordset(${JSON.stringify(rows)}::json)
        as d(fingerprint text, queue text, cause text, version text, state text, type text, message text, hours float8)),
    made as (
      insert into ops.dead_letter_queue (queue_name, kind, root_key, cause, state, error_type, error_message, fingerprint, attempts,
        failed_at, first_failed_at, resolved_at, worker_version, correlation_id)
      select queue, 'task', gen_random_uuid(), cause, state, type, message, fingerprint, 2, at, at,
             case when state in ('resolved', 'discarded') then clock_timestamp() end, version, 'test-correlation'
      from draft returning id),
    grouped as (
      insert into ops.dead_letter_group (fingerprint, title, error_type, message, frame, first_seen, last_seen, first_version, last_version)
      select fingerprint, min(type || ': ' || message), min(type), min(message), 'send.ts:send', min(at), max(at), min(version), max(version)
      from draft group by fingerprint on conflict do nothing)
    select id from made`);
  return made.map(({ id }) => id);
}

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & { details?: Record<string, unknown> };
  readonly headers: Record<string, unknown>;
}

/** A plane whose API Ana may use in full. */
export async function openGroups(): Promise<{ plane: TestPlane; call: Call; audited: () => Promise<unknown[]> }> {
  const plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [work, mail],
    authorize: () => ({ actor: ana, permissions: everything, secondFactorAt: new Date() }),
  });
  const app = fastify();
  await app.register(plane.http, { prefix: '/api/v1/admin' });
  const audited = async () =>
    (await plane.db.query(sql`select action, target_id, reason, details from ops.audit_log order by seq`)).rows;
  return { plane, call: caller(app), audited };
}

export type Call = (
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
  key?: string,
) => Promise<Answer>;

const everything = new Set(['dlq.read', 'dlq.annotate', 'dlq.edit', 'job.control', 'queue.read']);

function caller(app: ReturnType<typeof fastify>): Call {
  return async (method, path, body, key) => {
    const response = await app.inject({
      method,
      url: `/api/v1/admin/queues/dlq${path}`,
      ...(body && { payload: body }),
      ...(key && { headers: { 'idempotency-key': key } }),
    });
    return { status: response.statusCode, body: response.json(), headers: response.headers };
  };
}
