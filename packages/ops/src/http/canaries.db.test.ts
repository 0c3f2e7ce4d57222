import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import { permissionPresets } from '../permissions/index.ts';
import { sql } from '../postgres/index.ts';
import { bury, defineQueue, enqueue } from '../queues/index.ts';
import { defineSchedule, schedulerQueue } from '../schedules/index.ts';
import { openTestPlane, pollUntil, type TestPlane } from '../testing/index.ts';
import { canaries, canaryIn, columnsWithCanaries, watchReads } from './canaries.fixture.ts';

const orders = defineQueue({
  name: 'orders',
  attempts: 2,
  backoffMs: [10],
  kinds: { ship: { schema: z.looseObject({ order: z.int() }), sideEffect: 'guarded' } },
});

/** Yearly, so that it only runs by hand. */
const tidy = defineSchedule({
  name: 'tidy',
  cron: '0 0 1 1 *',
  auditAction: 'tidy.ran',
  run: async () => ({ checked: 1 }),
});

const payload = {
  order: 42,
  customer: { name: canaries.name, email: canaries.mail, phone: canaries.phone },
  card_number: canaries.card,
  api_token: canaries.token,
  note: `ring ${canaries.phone} or write to ${canaries.mail}`,
};

/** An error that repeats all it was given, in its message, its cause and its code. */
function indiscreet(): Error {
  const { name, mail, phone, card, token } = canaries;
  const cause = new Error(`upstream refused ${name.toUpperCase()} with ${token}`);
  return new Error(`cannot ship to ${name} <${mail}>, ${phone}, card ${card.replaceAll(' ', '')}, token ${token}`, {
    cause,
  });
}

let plane: TestPlane;
let app: FastifyInstance;
let reads: string[];
let letter: { id: string; job_id: string; fingerprint: string };
let redriveId: string;

beforeAll(async () => {
  plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [orders, schedulerQueue],
    schedules: [tidy],
    scheduleEveryMs: 50,
    authorize: ({ headers }) => ({
      actor: { id: '7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10', name: 'Ana', via: 'http' },
      permissions: new Set<string>(permissionPresets[headers['x-role'] === 'viewer' ? 'viewer' : 'responder']),
      secondFactorAt: new Date(),
    }),
  });
  app = fastify();
  reads = watchReads(app);
  await app.register(plane.http, { prefix: '/api/v1/admin' });
  await plane.run({
    orders: async ({ attempt }) => (attempt === 1 ? Promise.reject(indiscreet()) : bury(indiscreet())),
  });
  await plane.db.transaction((tx) => enqueue(tx, orders, 'ship', payload, { key: 'ship-42' }));
  letter = await pollUntil(async () => (await lettersOf())[0], { deadlineMs: 10_000 });
  redriveId = await plan();
  await pollUntil(async () => (await runNow()) === 202);
});
afterAll(async () => {
  await app?.close();
  await plane?.close();
});

async function lettersOf() {
  const { rows } = await plane.db.query<typeof letter>(
    sql`select id, job_id, fingerprint from ops.dead_letter_queue where not synthetic`,
  );
  return rows;
}

async function plan(): Promise<string> {
  const answer = await app.inject({
    method: 'POST',
    url: '/api/v1/admin/redrives',
    payload: { name: 'all orders', action: 'retry', filter: 'state:open queue:orders' },
  });
  return answer.json<{ id: string }>().id;
}

async function runNow(): Promise<number> {
  const { statusCode } = await app.inject({
    method: 'POST',
    url: '/api/v1/admin/schedules/tidy/run',
    headers: { 'idempotency-key': 'run-of-a-test' },
    payload: { reason: 'to have a run to read' },
  });
  return statusCode;
}

/** What each route is asked with. Those that know no such parameter refuse. */
const queries = [
  '',
  '?payload=masked',
  '?q=queue:orders',
  '?state=dead',
  '?format=ndjson&columns=payload',
  '?full=true',
  '?state=done',
];

/** The path with ids that exist. */
function filled(path: string): string {
  const id = path.includes('/redrives/') ? redriveId : letter.id;
  const values: Record<string, string> = {
    id,
    fp: letter.fingerprint,
    queue: 'orders',
    job_id: letter.job_id,
    name: tidy.name,
  };
  return path.replaceAll(/:(\w+)/g, (_, name: string) => values[name] ?? name);
}

describe('personal values of a payload, and what repeats them', () => {
  it('are kept where payloads are kept, and in no other column', async () => {
    const places = await columnsWithCanaries(plane.db, ['ops']);
    expect(places).toEqual(['dead_letter_payload.body', 'dead_letter_queue.payload']);
  });

  it.each(['viewer', 'responder'])('are in no answer to a %s, whatever they read', async (role) => {
    const answered: Record<string, number> = {};
    for (const path of reads) {
      for (const query of queries) {
        const url = `${filled(path)}${query}`;
        const { statusCode, body } = await app.inject({ url, headers: { 'x-role': role } });
        answered[path] = Math.min(answered[path] ?? 999, statusCode);
        expect({ url, canary: canaryIn(body) }).toEqual({ url, canary: undefined });
      }
    }
    const unread = Object.entries(answered).filter(([, status]) => status !== 200);
    // What needs more than these roles have.
    expect(unread.map(([path]) => path.replace('/api/v1/admin', '')).filter((path) => !needsMore.has(path))).toEqual(
      [],
    );
  });

  it('cannot be asked for by those who may not see them', async () => {
    const asked = await Promise.all([
      app.inject({ url: `/api/v1/admin/queues/dlq/${letter.id}?payload=clear&reason=curious` }),
      app.inject({ url: '/api/v1/admin/queues/dlq?q=payload.customer.email:*' }),
      app.inject({
        method: 'POST',
        url: `/api/v1/admin/queues/dlq/${letter.id}/retry`,
        payload: { dry_run: true, patch: [{ op: 'test', path: '/card_number', value: canaries.card }] },
      }),
    ]);
    expect(asked.map(({ statusCode }) => statusCode)).toEqual([403, 403, 403]);
    expect(asked.map(({ body }) => canaryIn(body))).toEqual([undefined, undefined, undefined]);
  });

  it('are in no line of the log, no metric and no row of the audit log', async () => {
    expect(plane.lines.map((line) => canaryIn(JSON.stringify(line))).filter(Boolean)).toEqual([]);
    expect(plane.lines.filter(({ event }) => event === 'job_dead_lettered')).toHaveLength(1);
    expect(canaryIn(await plane.metrics.render())).toBeUndefined();
    const { rows } = await plane.db.query(sql`select * from ops.audit_log`);
    expect(rows.length).toBeGreaterThan(0);
    expect(canaryIn(JSON.stringify(rows))).toBeUndefined();
  });
});

const needsMore = new Set(['/queues/dlq/export', '/audit', '/audit/verify']);
