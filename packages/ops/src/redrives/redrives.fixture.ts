import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import { z } from 'zod';
import type { Actor } from '../audit/index.ts';
import { armFailpoint } from '../failpoints/index.ts';
import { openLease } from '../leases/index.ts';
import { sql, type Tx } from '../postgres/index.ts';
import { defineQueue, done, type Job, type JobHandler, openRedisQueues } from '../queues/index.ts';
import { connectRedis } from '../redis/index.ts';
import { openTestPlane, pollUntil, type TestPlane } from '../testing/index.ts';
import { type PlanRequest, redrivePlanRequest } from './contract.ts';
import {
  openRedriveEngine,
  planRedrive,
  readRedrive,
  type RedriveEngineOptions,
  type RedriveHost,
  startRedrive,
} from './index.ts';

const kind = { schema: z.looseObject({ n: z.int() }), sideEffect: 'guarded' } as const;

export const mail = defineQueue({
  name: 'mail',
  aliases: ['post'],
  attempts: 1,
  backoffMs: [],
  kinds: { send: kind, charge: { ...kind, sideEffect: 'unsafe' }, code: { ...kind, safeForMs: 3_600_000 } },
});
export const other = defineQueue({ name: 'other', attempts: 1, backoffMs: [], kinds: { send: kind } });

export const ana: Actor = { id: 'ana', name: 'Ana', via: 'http' };
export const bo: Actor = { id: 'bo', name: 'Bo', via: 'http' };

/** Writes its number into the table of effects, in one commit with the verdict. */
export const effect: JobHandler<{ n: number }> = async (job: Job<{ n: number }>) => {
  await job.commit(async (tx) => void (await tx.query(sql`insert into effect (n) values (${job.payload.n})`)));
  return done;
};

export interface Dying {
  readonly queue?: string;
  readonly kind?: string;
  readonly fingerprint?: string;
  /** Numbers of the payloads. Default from 1. */
  readonly from?: number;
  readonly ageS?: number;
}

export type Redrives = Awaited<ReturnType<typeof openRedrives>>;

/** A plane with letters to be redriven. No part of it runs before it is started. */
export async function openRedrives(host: RedriveHost = {}) {
  const plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [mail, other],
  });
  await plane.db.query(sql`create table effect (n int not null, at timestamptz default now())`);
  const { db, registry } = plane;
  const redis = connectRedis({ url: inject('redisUrl'), onError: () => {} });
  const queues = openRedisQueues(redis, registry, plane.prefix);
  const write = <T>(work: (tx: Tx) => Promise<T>) => db.transaction(work);
  return {
    plane,
    db,
    queues,
    write,
    read: (id: string) => readRedrive(db, id),
    plan: (request: Partial<PlanRequest>, actor = ana) =>
      write(async (tx) => {
        const ask = redrivePlanRequest.parse({ name: 'a redrive', ...request });
        const { id } = await planRedrive(tx, ask, { actor, registry, host });
        return readRedrive(tx, id);
      }),
    start: (id: string, options: Starting = {}) => startAs(plane, id, options),
    /** Workers of both queues, and the dispatcher. */
    work: async (handler: JobHandler<never>, concurrency = 4) => {
      await plane.start(plane.worker({ mail: { handler, concurrency }, other: { handler, concurrency } }));
      await plane.start(plane.relay());
    },
    engine: (options: Partial<RedriveEngineOptions> = {}) => engineOf(plane, queues, host, options),
    items: async (id: string) =>
      (
        await db.query<{ outcome: string; why: string | null; n: number; items: number }>(
          sql`select outcome, why, count(*)::int as items from ops.redrive_item where redrive_id = ${id} group by 1, 2 order by 1, 2`,
        )
      ).rows,
    effects: async () =>
      (
        await db.query<{ n: number; times: number }>(
          sql`select n, count(*)::int as times from effect group by n order by n`,
        )
      ).rows,
    audits: async (id: string) =>
      (
        await db.query<{ action: string }>(sql`select action from ops.audit_log where target_id = ${id} order by seq`)
      ).rows.map(({ action }) => action),
    ended: (id: string, state = 'done') =>
      pollUntil(async () => (await readRedrive(db, id)).state === state && readRedrive(db, id), { deadlineMs: 15_000 }),
    async close() {
      await plane.close();
      await queues.close();
      redis.disconnect();
    },
  };
}

export interface Starting {
  readonly accept_drift?: boolean;
  readonly plan_hash?: string;
  readonly confirm_count?: number;
  readonly undoMs?: number;
  readonly actor?: Actor;
}

async function startAs({ db }: TestPlane, id: string, { undoMs = 0, actor = ana, ...asked }: Starting) {
  const { plan_hash, included } = await readRedrive(db, id);
  const ask = {
    plan_hash: plan_hash ?? '',
    confirm_count: included ?? 0,
    reason: 'the server is back',
    accept_drift: false,
    ...asked,
  };
  await db.transaction((tx) => startRedrive(tx, { id, ask, actor, host: { undoMs }, demand: () => {} }));
}

function engineOf(
  plane: TestPlane,
  queues: RedriveEngineOptions['queues'],
  host: RedriveHost,
  options: Partial<RedriveEngineOptions>,
) {
  const { db, registry, log, metrics } = plane;
  return openRedriveEngine({
    db,
    registry,
    log,
    metrics,
    queues,
    host,
    lease: openLease(db, { name: 'redrives', holder: randomUUID(), ttlMs: 1_000 }),
    failpoint: armFailpoint(undefined),
    everyMs: 20,
    ...options,
  });
}

/** Letters as a capture leaves them; answers their ids, oldest first. */
export async function bury({ db }: Redrives, count: number, dying: Dying = {}): Promise<string[]> {
  const { queue = 'mail', kind: name = 'send', fingerprint = 'v1_known', from = 1, ageS = 60 } = dying;
  const { rows } = await db.query<{ id: string }>(sql`
    with made as (
      insert into ops.dead_letter_queue (queue_name, kind, job_id, root_key, run_key, cause, payload, error_type, error_message,
                                         fingerprint, attempts, failed_at, first_failed_at, correlation_id)
      select ${queue}, ${name}, ${queue} || '-' || n, ${queue} || '-' || n, ${queue} || '-' || n, 'exhausted',
             jsonb_build_object('n', n), 'Error', 'no', ${fingerprint}, 1,
             clock_timestamp() - ${ageS} * interval '1 s' + n * interval '1 ms',
             clock_timestamp() - ${ageS} * interval '1 s', 'journey-0001'
      from generate_series(${from}::int, ${from + count - 1}::int) as n
      returning id, payload, failed_at),
    kept as (
      insert into ops.dead_letter_payload (letter_id, version, body, sha256) select id, 0, payload::text, '' from made)
    select id from made order by failed_at, id`);
  return rows.map(({ id }) => id);
}
