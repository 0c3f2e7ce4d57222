import { randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { z } from 'zod';
import { type Actor, audit, type AuditVerdict } from '../audit/index.ts';
import { sql } from '../postgres/index.ts';
import { defineQueue } from '../queues/index.ts';
import { openTestPlane, type TestPlane } from '../testing/index.ts';
import { web } from './index.ts';
import { refuse } from '../refusals/index.ts';

const kinds = { task: { schema: z.strictObject({}), sideEffect: 'guarded' } } as const;
const work = defineQueue({ name: 'work', attempts: 1, backoffMs: [], kinds });
const ana: Actor = { id: 'ana', name: 'Ana', via: 'http' };
const bob: Actor = { id: 'bob', name: 'Bob', via: 'http' };

let plane: TestPlane;
let directory: string;
const app = fastify();
let granted: readonly string[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fmhl-audit-'));
  plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [work],
    authorize: ({ headers }) =>
      headers.authorization === undefined
        ? undefined
        : {
            actor: headers.authorization === 'bob' ? bob : ana,
            permissions: new Set(granted),
            secondFactorAt: new Date(),
          },
    auditKeys: [{ id: 'k', key: randomBytes(32) }],
    auditAnchor: join(directory, 'anchor.jsonl'),
    auditAnchorEveryMs: 10,
    auditLinkEveryMs: 10,
  });
  await app.register(plane.http, { prefix: '/admin' });
  await app.register(async (own) => {
    web(own, plane);
    const config = { access: 'signed_in' } as const;
    own.get('/own/:id', { config }, async () => {
      throw refuse('self_approval');
    });
  });
  await plane.start(plane.scheduler());
});
afterAll(async () => {
  await app.close();
  await plane.close();
  await rm(directory, { recursive: true });
});

async function get(path: string, authorization: string | undefined = 'ana') {
  const answer = await app.inject({ method: 'GET', url: path, headers: authorization ? { authorization } : {} });
  return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() };
}

const act = (actor: Actor, action: string, id: string) =>
  plane.db.transaction((tx) =>
    audit(tx, { actor, action, targetType: 'thing', targetId: id, reason: 'why not', details: { n: 1 } }),
  );

const denied = async () =>
  (
    await plane.db.query<{ actor: string; target_id: string; details: object }>(
      sql`select actor, target_id, details from ops.audit_log where action = 'access.denied' order by seq`,
    )
  ).rows;

describe('a refusal', () => {
  it('of somebody who is known is kept, once a minute for each route, whatever they ask how often', async () => {
    granted = [];
    for (let n = 0; n < 5; n += 1) expect((await get('/admin/audit')).status).toBe(403);
    expect((await get('/own/secret-id')).status).toBe(403);
    expect((await get('/admin/audit', '')).status).toBe(401);
    expect((await get('/admin/nothing')).status).toBe(404);
    const rows = await vi.waitUntil(async () => {
      const all = await denied();
      return all.length >= 2 && all;
    });
    expect(rows.toSorted((a, b) => a.target_id.localeCompare(b.target_id))).toEqual([
      {
        actor: 'ana',
        target_id: 'GET /admin/audit',
        details: { code: 'missing_permission', count: 1, permission: 'audit.read' },
      },
      { actor: 'ana', target_id: 'GET /own/:id', details: { code: 'self_approval', count: 1 } },
    ]);
    expect(plane.lines.filter(({ event }) => event === 'access_denied')).toHaveLength(6);
  });

  it('stays what it is when it cannot be kept', async () => {
    await plane.db.query(
      sql`alter table ops.audit_log add constraint closed check (action <> 'access.denied') not valid`,
    );
    expect((await get('/admin/queues', 'bob')).status).toBe(403);
    await vi.waitUntil(() => plane.lines.some(({ event }) => event === 'audit_write_failed'));
    await plane.db.query(sql`alter table ops.audit_log drop constraint closed`);
  });
});

describe('the list', () => {
  it('shows who did what, newest first, by page', async () => {
    granted = ['audit.read'];
    for (let n = 1; n <= 5; n += 1) await act(n % 2 === 0 ? bob : ana, 'thing.changed', `t${n}`);
    await act(ana, 'thing.removed', 't:6');
    const page = await get('/admin/audit?target=thing&limit=4');
    const items = page.body.items as { target_id: string }[];
    expect(items.map(({ target_id }) => target_id)).toEqual(['t:6', 't5', 't4', 't3']);
    expect(items[0]).toMatchObject({
      actor: 'ana',
      actor_name: 'Ana',
      via: 'http',
      action: 'thing.removed',
      reason: 'why not',
      details: { n: 1 },
    });
    const cursor = (page.body.pagination as { next_cursor: string }).next_cursor;
    const rest = await get(`/admin/audit?target=thing&limit=4&cursor=${cursor}`);
    expect((rest.body.items as { target_id: string }[]).map(({ target_id }) => target_id)).toEqual(['t2', 't1']);
    expect(rest.body.pagination).toEqual({ limit: 4, next_cursor: null });
    expect(await get(`/admin/audit?target=lead&cursor=${cursor}`)).toMatchObject({
      status: 400,
      body: { code: 'cursor_invalid' },
    });
  });

  it.each([
    ['actor=bob', ['t4', 't2']],
    ['action=thing.removed', ['t:6']],
    ['target=thing:t:6', ['t:6']],
    ['target=thing&to=2000-01-01T00:00:00Z', []],
    ['actor=bob&from=2000-01-01T00:00:00%2B02:00', ['t4', 't2']],
  ])('narrows to %s', async (query, expected) => {
    const { body } = await get(`/admin/audit?${query}`);
    expect((body.items as { target_id: string }[]).map(({ target_id }) => target_id)).toEqual(expected);
  });

  it.each(['action=x', 'target=%27', 'from=yesterday', 'limit=0', 'limit=201', 'other=1'])(
    'refuses %s',
    async (query) => {
      expect((await get(`/admin/audit?${query}`)).status).toBe(400);
    },
  );
});

describe('a look at the whole log', () => {
  const verdict = async (query = '') => (await get(`/admin/audit/verify${query}`)).body;

  it('finds it whole, and compares it with the anchor', async () => {
    await vi.waitUntil(async () => {
      const { anchor, pending } = (await verdict()) as { anchor: { n: number } | null; pending: { count: number } };
      return anchor !== null && anchor.n >= 8 && pending.count === 0;
    });
    expect(await verdict()).toMatchObject({ ok: true, fault: null, sealed: true });
  });

  it('takes anchors that were kept elsewhere', async () => {
    const { head } = (await verdict()) as { head: { n: number; seq: number; hash: string } };
    const anchor = { ...head, n: head.n + 10, seq: head.seq, at: new Date().toISOString(), database: '1' };
    const text = encodeURIComponent(JSON.stringify(anchor));
    expect(await verdict(`?anchor=${text}`)).toMatchObject({ ok: false, fault: { kind: 'tail_cut', n: head.n + 1 } });
    expect((await get('/admin/audit/verify?anchor=nothing')).status).toBe(400);
  });

  it('is taken by one at a time', async () => {
    const answers = await Promise.all([get('/admin/audit/verify'), get('/admin/audit/verify')]);
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
  });

  it('needs its permission', async () => {
    granted = ['dlq.read'];
    expect((await get('/admin/audit/verify', 'bob')).status).toBe(403);
  });
});

describe('the anchors of the host', () => {
  let other: TestPlane;
  const server = fastify();
  const file = () => join(directory, 'other.jsonl');
  beforeAll(async () => {
    other = await openTestPlane({
      adminUrl: inject('databaseUrl'),
      redisUrl: inject('redisUrl'),
      queues: [work],
      authorize: () => ({ actor: ana, permissions: new Set(['audit.read']), secondFactorAt: new Date() }),
      auditKeys: [{ id: 'k', key: randomBytes(32) }],
      auditAnchor: file(),
      auditLinkEveryMs: 10,
    });
    await server.register(other.http, { prefix: '/admin' });
  });
  afterAll(async () => {
    await server.close();
    await other.close();
  });
  const verdict = async () => (await server.inject({ method: 'GET', url: '/admin/audit/verify' })).json<AuditVerdict>();

  it('are all compared, those too that a later one seems to vouch for, and missed when none is there', async () => {
    await other.db.transaction((tx) =>
      audit(tx, { actor: ana, action: 'thing.changed', targetType: 'thing', targetId: '1' }),
    );
    const scheduler = other.scheduler();
    await scheduler.start();
    await vi.waitUntil(async () => (await verdict()).head !== null);
    await scheduler.stop();
    await rm(file(), { force: true });
    expect((await verdict()).fault).toMatchObject({ kind: 'no_anchor', n: null });
    const { head } = await verdict();
    const ours = { ...head, at: new Date().toISOString(), database: '7' };
    const elsewhere = { ...ours, hash: 'ab'.repeat(32) };
    const later = { ...elsewhere, n: 1_000, seq: 1_000 };
    await appendFile(file(), `${JSON.stringify(ours)}\n`);
    expect(await verdict()).toMatchObject({ ok: true });
    await appendFile(file(), `${JSON.stringify(elsewhere)}\n${JSON.stringify(later)}\n`);
    expect((await verdict()).fault).toMatchObject({ kind: 'restored', n: head?.n });
  });
});
