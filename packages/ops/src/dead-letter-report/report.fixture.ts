import fastify from 'fastify';
import { inject } from 'vitest';
import { z } from 'zod';
import type { Actor } from '../audit/index.ts';
import { type Queryable, sql } from '../postgres/index.ts';
import { defineQueue } from '../queues/index.ts';
import { openTestPlane, type TestPlane, type TestPlaneOptions } from '../testing/index.ts';

const kinds = { task: { schema: z.strictObject({ n: z.int() }), sideEffect: 'guarded' } } as const;
export const work = defineQueue({ name: 'work', aliases: ['labour'], attempts: 1, backoffMs: [], kinds });
export const mail = defineQueue({ name: 'mail', attempts: 1, backoffMs: [], kinds });

export const ana: Actor = { id: '6b0e7a3c-0000-4000-8000-000000000001', name: 'Ana', via: 'http' };
const permissions = new Set(['dlq.read', 'job.control']);

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A plane whose reports Ana may read, and a way to ask for them. */
export async function openReports(options: Partial<TestPlaneOptions> = {}) {
  const plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [work, mail],
    authorize: () => ({ actor: ana, permissions, secondFactorAt: new Date() }),
    ...options,
  });
  const app = fastify();
  await app.register(plane.http, { prefix: '/api/v1/admin' });
  const call = async (method: 'GET' | 'POST', path: string, body?: object, key = 'key-of-a-test') => {
    const headers = method === 'POST' ? { 'idempotency-key': key } : {};
    const url = `/api/v1/admin/queues/dlq${path}`;
    const response = await app.inject({ method, url, headers, ...(body && { payload: body }) });
    return { status: response.statusCode, body: response.json() } as Answer;
  };
  return { plane, call };
}

export interface Draft {
  readonly fingerprint: string;
  readonly queue?: string;
  readonly cause?: string;
  readonly version?: string;
  readonly state?: string;
  /** Age of its capture and death, in hours. */
  readonly hoursAgo?: number;
  /** Age of its closing, in hours. */
  readonly closedHoursAgo?: number;
}

/** Writes letters as a capture does, in one statement, and answers their ids. */
export async function insertLetters(db: Queryable, drafts: readonly Draft[]): Promise<string[]> {
  const rows = drafts.map((draft) => ({
    queue: 'work',
    cause: 'exhausted',
    version: '1.0.0',
    state: 'pending',
    hours: draft.hoursAgo ?? 0,
    closed: draft.closedHoursAgo ?? 0,
    ...draft,
  }));
  const { rows: made } = await db.query<{ id: string }>(sql`
    with draft as (
      select *, clock_timestamp() - hours * interval '1 hour' as at, clock_timestamp() - closed * interval '1 hour' as closed_at
      from json_to_recordset(${JSON.stringify(rows)}::json)
        as d(fingerprint text, queue text, cause text, version text, state text, hours float8, closed float8)),
    made as (
      insert into ops.dead_letter_queue (queue_name, kind, root_key, cause, state, error_type, error_message, fingerprint, attempts,
        failed_at, first_failed_at, created_at, resolved_at, worker_version, correlation_id)
      select queue, 'task', gen_random_uuid(), cause, state, 'Error', 'no connection', fingerprint, 1, at, at, at,
             case when state in ('resolved', 'discarded') then closed_at end, version, 'test-correlation'
      from draft returning id),
    grouped as (
      insert into ops.dead_letter_group (fingerprint, title, error_type, message, first_seen, last_seen)
      select fingerprint, 'Error on ' || fingerprint, 'Error', 'no connection', min(at), max(at)
      from draft group by fingerprint on conflict do nothing)
    select id from made`);
  return made.map(({ id }) => id);
}

/** Makes the changes that are not folded yet as old as the letters they tell of, as if time had passed. */
export async function ageChanges(db: Queryable): Promise<void> {
  await db.query(
    sql`update ops.dead_letter_change set at = last_failed_at where last_failed_at is not null and captured > 0`,
  );
}

export type Plane = TestPlane;
