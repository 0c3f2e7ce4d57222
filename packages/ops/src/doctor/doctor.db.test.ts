import { randomBytes } from 'node:crypto';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import type { Authorization } from '../http/index.ts';
import { createMetrics, opsCatalogue } from '../metrics/index.ts';
import { sql } from '../postgres/index.ts';
import { bury, defineQueue, done, enqueue } from '../queues/index.ts';
import { connectRedis } from '../redis/index.ts';
import { openTestPlane, pollUntil, type TestPlane } from '../testing/index.ts';
import type { DoctorReport, ProbeResult } from './contract.ts';
import { checkOf, type Invariant } from './invariant.ts';
import { plantedFaults } from './planted-faults.fixture.ts';
import { platformInvariants } from './platform-checks.ts';
import { watchInvariants } from './watch.ts';

const letters = defineQueue({
  name: 'letters',
  attempts: 1,
  backoffMs: [],
  kinds: { send: { schema: z.object({ n: z.int() }), sideEffect: 'guarded' } },
});
const ana: Pick<Authorization, 'actor' | 'secondFactorAt'> = {
  actor: { id: 'ana', name: 'Ana', via: 'http' },
  secondFactorAt: new Date(),
};
let granted: readonly string[] = ['queue.read', 'dlq.retry', 'dlq.resolve'];
const authorize = (): Authorization => ({ ...ana, permissions: new Set(granted) });

/** Of the host: orders are paid; and one that takes its time. */
const invariants: readonly Invariant[] = [
  {
    name: 'paid',
    title: 'Orders are paid',
    enforcedBy: 'nothing',
    next: 'pay',
    sql: `select id from orders where not paid and at >= $1::timestamptz`,
  },
  {
    name: 'slow',
    title: 'All is well',
    enforcedBy: 'nothing',
    sql: `select 1 as id from orders_pause where pause > 0 and pg_sleep(pause) is null`,
  },
];

let plane: TestPlane;
let app: FastifyInstance;
const servers = () => ({ adminUrl: inject('databaseUrl'), redisUrl: inject('redisUrl') });
const execute = (text: string) => plane.db.query({ name: '', text, values: [] });

beforeAll(async () => {
  const auditKeys = [{ id: 'k', key: randomBytes(32) }];
  plane = await openTestPlane({
    ...servers(),
    queues: [letters],
    authorize,
    auditKeys,
    auditLinkEveryMs: 20,
    invariants,
  });
  await execute(
    `create table orders (id int, paid boolean, at timestamptz default now()); create table orders_pause (pause float8)`,
  );
  await execute('insert into orders_pause values (0)');
  app = fastify();
  await app.register(plane.http, { prefix: '/admin' });
  await live();
});
afterAll(async () => {
  await app.close();
  await plane.close();
});

/** A short life: work that is done, work that waits, and deaths of which one is retried, one resolved and one left. */
async function live(): Promise<void> {
  let isMended = false;
  const handler = async (job: { payload: { n: number } }) =>
    job.payload.n % 2 === 0 || isMended ? done : bury(new Error('no'));
  const parts = [plane.worker({ letters: handler }), plane.relay(), plane.scheduler()];
  for (const part of parts) await part.start();
  await plane.db.transaction(async (tx) => {
    for (let n = 0; n < 6; n += 1) await enqueue(tx, letters, 'send', { n }, { key: `letter-${n}` });
    await enqueue(tx, letters, 'send', { n: 6 }, { key: 'later-6', delayMs: 3_600_000 });
  });
  const [first = '', second = ''] = await pollUntil(async () => {
    const { rows } = await plane.db.query<{ id: string }>(sql`select id from ops.dead_letter_queue order by root_key`);
    return rows.length === 3 && rows.map(({ id }) => id);
  });
  isMended = true;
  const headers = { 'idempotency-key': 'a-key-of-a-test' };
  const reason = { reason: 'the post is back' };
  await app.inject({ method: 'POST', url: `/admin/queues/dlq/${first}/retry`, headers, payload: reason });
  await app.inject({ method: 'POST', url: `/admin/queues/dlq/${second}/resolve`, headers, payload: reason });
  await pollUntil(async () => {
    const { rows } = await plane.db.query<{ rest: number }>(sql`
      select (select count(*) from ops.job_outbox where dispatched_at is null) + (select count(*) from ops.audit_pending)
           + (select count(*) from ops.dead_letter_queue where state = 'retrying')
           + (select 6 - count(*) from ops.job_run where generation = 0 and state <> 'enqueued') as rest`);
    return rows[0]?.rest === 0;
  });
  await Promise.all(parts.map((part) => part.stop()));
}

async function ask(query = 'full=true'): Promise<{ status: number; report: DoctorReport }> {
  const { statusCode, body } = await app.inject({ url: `/admin/doctor?${query}` });
  return { status: statusCode, report: JSON.parse(body) as DoctorReport };
}

/** The Redis of tests keeps nothing on disk. */
const notSound = ({ probes }: DoctorReport): ProbeResult[] =>
  probes.filter(({ name, state }) => state !== 'ok' && name !== 'P3');

describe('the doctor', () => {
  it('finds every invariant to hold after a short life, but that this Redis keeps nothing on disk', async () => {
    const { status, report } = await ask();
    expect(status).toBe(200);
    expect(notSound(report)).toEqual([]);
    expect(report.probes.find(({ name }) => name === 'P3')).toMatchObject({
      state: 'breached',
      rows: [{ setting: 'aof_enabled', is: '0', wants: '1' }],
    });
    expect(report).toMatchObject({ ok: false, full: true });
    expect(report.parts.map(({ name, state }) => [name, state])).toEqual([
      ['database', 'ok'],
      ['schema', 'ok'],
      ['redis', 'ok'],
      ['workers', 'bad'],
      ['hand-over', 'ok'],
      ['queues', 'ok'],
      ['schedules', 'ok'],
      ['dead letters', 'attention'],
      ['invariants', 'attention'],
      ['audit', 'attention'],
    ]);
  });

  it.each(plantedFaults.map((fault) => [`${fault.name} ${JSON.stringify(fault.names)}`, fault] as const))(
    'names the row of a planted fault: %s',
    async (_, { name, names, also = [], plant, undo, inRedis, undoInRedis }) => {
      const redis = connectRedis({ url: inject('redisUrl') });
      const key = (part: string) => `${plane.prefix}:letters:${part}`;
      try {
        if (plant) await execute(plant);
        await inRedis?.(redis, key);
        const { report } = await ask('full=true&parts=false');
        expect(
          notSound(report)
            .map((probe) => probe.name)
            .sort(),
        ).toEqual([name, ...also].sort());
        expect(report.probes.find((probe) => probe.name === name)).toMatchObject({
          state: 'breached',
          rows: [expect.objectContaining(names)],
          next: expect.any(String),
        });
      } finally {
        if (undo) await execute(undo);
        await undoInRedis?.(redis, key);
        redis.disconnect();
      }
    },
  );

  it('finds all well again once each is taken back', async () => {
    expect(notSound((await ask()).report)).toEqual([]);
  });

  it('names a transaction that is open for too long', async () => {
    const [invariant] = platformInvariants({ longestTransactionMs: 20 });
    const check = checkOf(plane.db, invariant as Invariant);
    const look = () => check.find({ since: null, timeoutMs: 1_000, signal: new AbortController().signal });
    expect(await look()).toEqual({ rows: [], count: 0 });
    await plane.db.transaction(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>(sql`select pg_backend_pid() as pid, pg_sleep(0.03)`);
      expect((await look()).rows).toEqual([
        { what: 'open transaction', id: String(rows[0]?.pid), seconds: 0, dead_rows: null },
      ]);
    });
  });

  it("asks the host's own invariants, and bounds what it tells", async () => {
    await execute(`insert into orders select n, false from generate_series(1, 30) n`);
    const { report } = await ask('only=paid');
    expect(report.parts).toEqual([]);
    expect(report.probes).toEqual([
      expect.objectContaining({ name: 'paid', state: 'breached', count: 30, next: 'pay' }),
    ]);
    expect(report.probes[0]?.rows).toHaveLength(20);
    await execute(`delete from orders`);
    expect((await ask('only=paid')).report.ok).toBe(true);
  });

  it('never takes for OK what does not answer in time', async () => {
    await execute(`update orders_pause set pause = 30`);
    const { report } = await ask('full=true&only=slow,J2&within_s=1');
    await execute(`update orders_pause set pause = 0`);
    expect(report).toMatchObject({ ok: false, full: false });
    expect(report.probes.map(({ name, state, reason }) => [name, state, reason])).toEqual([
      ['slow', 'not_checked', expect.stringMatching(/^no answer within \d+ ms$/)],
      ['J2', 'not_checked', 'no time was left'],
    ]);
  });

  it('refuses names it does not know, and whoever may not read queues', async () => {
    expect(await ask('only=J99')).toMatchObject({ status: 400, report: { code: 'validation_failed' } });
    granted = ['dlq.read'];
    expect(await ask()).toMatchObject({ status: 403 });
    granted = ['queue.read'];
  });
});

describe('a scheduled look', () => {
  /** As a process shows it that has not shown it yet. */
  async function violations(invariant: string): Promise<string | undefined> {
    const build = { version: 'test', commit: 'test' };
    const metrics = createMetrics({ enabled: true, catalogue: opsCatalogue(), queues: ['letters'], ...build });
    watchInvariants({ db: plane.db, metrics });
    return new RegExp(`^fmhl_invariant_violations\\{invariant="${invariant}"\\} (\\d+)$`, 'm').exec(
      await metrics.render(),
    )?.[1];
  }

  it('is what every process shows; what was not checked, or not for half an hour, has no series', async () => {
    expect(await violations('paid')).toBeUndefined();
    await execute(`update orders_pause set pause = 30`);
    expect(await plane.runInvariants({ signal: AbortSignal.abort() })).toMatchObject({
      not_checked: expect.any(Number),
    });
    await execute(`update orders_pause set pause = 0`);
    expect(await violations('D9')).toBeUndefined();
    await plane.runInvariants();
    expect([await violations('paid'), await violations('P3')]).toEqual(['0', '1']);
    await execute(`update ops.invariant_run set begun_at = begun_at - interval '31 minutes'`);
    expect(await violations('paid')).toBeUndefined();
    await execute(`delete from ops.invariant_run`);
  });

  it('is what the next look goes on from', async () => {
    await execute(`insert into orders values (1, true, now() - interval '1 day')`);
    expect(await plane.runInvariants()).toMatchObject({ breached: 1, not_checked: 0, full: 1 });
    await execute(`update orders set paid = false`);
    expect((await ask('only=paid')).report.probes).toMatchObject([{ state: 'ok', since: expect.any(String) }]);
    expect((await ask('only=paid&full=true')).report.probes).toMatchObject([{ state: 'breached', since: null }]);
  });

  it('keeps a breach in sight until it is mended, and then looks at what changes', async () => {
    await execute(`update ops.invariant_run set begun_at = begun_at - interval '25 hours'`);
    expect(await plane.runInvariants()).toMatchObject({ breached: 2, full: 1 });
    expect(await plane.runInvariants()).toMatchObject({ breached: 2, full: 0 });
    expect(plane.lines.filter(({ event }) => event === 'invariant_breached').at(-1)).toMatchObject({
      level: 'error',
      metadata: { invariant: 'P3' },
    });
    await execute(`delete from orders`);
    expect(await plane.runInvariants()).toMatchObject({ breached: 1, full: 0 });
    const { rows } = await plane.db.query<{ since: string | null }>(sql`
      select probe ->> 'since' as since from ops.invariant_run, jsonb_array_elements(probes) probe
      where probe ->> 'name' = 'paid' order by id desc limit 3`);
    expect(rows.map(({ since }) => since)).toEqual([null, null, null]);
    await plane.runInvariants();
    expect((await ask('only=paid')).report.full).toBe(false);
  });
});

describe('without Redis', () => {
  it('says of what only Redis knows that it was not checked, and checks the rest: nothing was handed over, so nothing is lost', async () => {
    const alone = await openTestPlane({ ...servers(), redisUrl: 'redis://127.0.0.1:1', queues: [letters], authorize });
    const server = fastify();
    await server.register(alone.http, { prefix: '/admin' });
    const { probes, parts } = JSON.parse((await server.inject({ url: '/admin/doctor' })).body) as DoctorReport;
    await server.close();
    await alone.close();
    const open = probes.filter(({ state }) => state !== 'ok');
    expect(open.map(({ name, state, reason }) => [name, state, reason])).toEqual(
      ['D7', 'J5', 'D2', 'P3'].map((name) => [name, 'not_checked', 'Redis does not answer']),
    );
    expect(parts.find(({ name }) => name === 'redis')).toMatchObject({ state: 'unknown' });
  });
});
