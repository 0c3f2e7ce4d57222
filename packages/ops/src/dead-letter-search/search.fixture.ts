import { createHash } from 'node:crypto';
import fastify from 'fastify';
import { inject } from 'vitest';
import { z } from 'zod';
import { type Database, sql } from '../postgres/index.ts';
import { defineQueue } from '../queues/index.ts';
import { openTestPlane } from '../testing/index.ts';

const kinds = { send: { schema: z.unknown(), sideEffect: 'guarded', personalPaths: ['/memo/door'] } } as const;
const email = defineQueue({ name: 'email_send', aliases: ['email'], attempts: 3, backoffMs: [10], kinds });
const reports = defineQueue({ name: 'report_export', aliases: ['report-export'], attempts: 3, backoffMs: [10], kinds });

export const operator = { id: '7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10', name: 'Ana', via: 'http' } as const;
export const fingerprint = 'v1_9c41d0aa00000001';

export interface Draft {
  readonly queue?: string;
  readonly state?: 'pending' | 'snoozed' | 'retrying' | 'resolved' | 'discarded';
  /** Seconds before the fixed moment at which it failed. */
  readonly age?: number;
  readonly error?: string;
  readonly message?: string;
  readonly attempts?: number;
  readonly version?: string | null;
  readonly assignee?: string;
  /** Exact text of the payload, or bytes. */
  readonly payload?: string | Buffer;
  readonly fingerprint?: string;
  readonly correlation?: string;
}

export const moment = new Date('2026-01-02T14:30:00.000Z');

/** Writes a letter as capture does, and answers its id. */
export async function insertLetter(db: Database, draft: Draft = {}): Promise<string> {
  const {
    queue = 'email_send',
    state = 'pending',
    age = 0,
    payload = '{"to":"user@example.com","template":"welcome"}',
  } = draft;
  const isText = typeof payload === 'string';
  const isClosed = state === 'resolved' || state === 'discarded';
  const how = state === 'resolved' ? 'manual' : 'discarded';
  const group = draft.fingerprint ?? fingerprint;
  await db.query(sql`
    insert into ops.dead_letter_group (fingerprint, title, error_type, message, first_seen, last_seen)
    values (${group}, 'Error', 'Error', 'SMTP timeout', ${moment}, ${moment}) on conflict do nothing`);
  const { rows } = await db.query<{ id: string }>(sql`
    with given as materialized (select ${isText ? payload : null}::text as body)
    insert into ops.dead_letter_queue (queue_name, kind, job_id, root_key, run_key, state, cause, payload, payload_bytes, error_type,
      error_message, stack_trace, fingerprint, attempts, failed_at, first_failed_at, resolved_at, resolution, worker_version, assignee,
      correlation_id)
    select ${queue}, 'send', 'job-' || n, 'job-' || n, 'job-' || n, ${state}, 'exhausted',
           case when pg_input_is_valid(body, 'jsonb') then body::jsonb end,
           ${Buffer.byteLength(payload)}, ${draft.error ?? 'Error'}, ${draft.message ?? 'SMTP timeout'}, 'Error: SMTP timeout',
           ${group}, ${draft.attempts ?? 3},
           ${moment}::timestamptz - make_interval(secs => ${age}), ${moment}::timestamptz - make_interval(secs => ${age}),
           case when ${isClosed} then clock_timestamp() end,
           case when ${isClosed} then jsonb_build_object('how', ${how}::text, 'by_name', 'Ana', 'reason', 'not needed') end,
           ${draft.version ?? null}, ${draft.assignee ?? null}, ${draft.correlation ?? 'journey-0001'}
    from given, (select count(*) as n from ops.dead_letter_queue) present
    returning id`);
  const id = rows[0]?.id ?? '';
  await db.query(sql`
    insert into ops.dead_letter_payload (letter_id, version, encoding, body, bytes, sha256)
    values (${id}, 0, ${isText ? 'json' : 'bytes'}, ${isText ? payload : null}, ${isText ? null : payload},
            ${createHash('sha256').update(payload).digest('hex')})`);
  return id;
}

const everything = ['dlq.read', 'dlq.reveal', 'dlq.export', 'dlq.annotate'];

/** The API over an empty plane. Who asks, and with what, is said in headers. */
export async function openSearch() {
  const plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [email, reports],
    authorize: ({ headers }) => {
      if (headers.authorization === undefined) return undefined;
      const factor = headers['x-factor'];
      return {
        actor: operator,
        permissions: new Set(headers.authorization === 'all' ? everything : headers.authorization.split(' ')),
        secondFactorAt: factor === 'none' ? undefined : new Date(factor === 'stale' ? 0 : Date.now()),
      };
    },
  });
  const app = fastify();
  await app.register(plane.http, { prefix: '/api/v1/admin' });
  let forgotten = 0;
  const request = (
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    more: { headers?: object; payload?: object } = {},
  ) =>
    app.inject({
      method,
      url: `/api/v1/admin${path}`,
      headers: { authorization: 'all', ...more.headers },
      ...(more.payload && { payload: more.payload }),
    });
  return {
    plane,
    db: plane.db,
    request,
    get: (path: string, headers: Record<string, string> = {}) => request('GET', path, { headers }),
    letter: (draft?: Draft) => insertLetter(plane.db, draft),
    audits: async () =>
      (
        await plane.db.query<{
          action: string;
          target_id: string;
          reason: string | null;
          details: Record<string, unknown>;
        }>(sql`select action, target_id, reason, details from ops.audit_log where seq > ${forgotten} order by seq`)
      ).rows,
    /** Begins anew on the same database: audit rows stay, but are not shown again. */
    async clear() {
      await plane.db.query(sql`
        truncate ops.dead_letter_queue, ops.dead_letter_payload, ops.dead_letter_group, ops.dead_letter_change, ops.saved_view,
                 ops.job_run, ops.worker, ops.idempotency_key cascade`);
      const { rows } = await plane.db.query<{ seq: number }>(
        sql`select coalesce(max(seq), 0) as seq from ops.audit_log`,
      );
      forgotten = rows[0]?.seq ?? 0;
    },
    async close() {
      await app.close();
      await plane.close();
    },
  };
}

export type Search = Awaited<ReturnType<typeof openSearch>>;
