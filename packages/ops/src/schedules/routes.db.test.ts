import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { openTestPlane, type TestPlane } from '../testing/index.ts';
import { caughtUp, controlledSchedule, requestedRun, scheduleList, scheduleRunList } from './contract.ts';
import { schedulerQueue } from './index.ts';
import { ana, tidy } from './schedules.fixture.ts';
import { tickAll } from './scheduler.ts';

const off = tidy({ name: 'off', enabled: false });
const schedules = [tidy(), tidy({ name: 'nightly', cron: '0 3 * * *', catchUp: 'none' }), off];

let plane: TestPlane;
let app: FastifyInstance;
beforeAll(async () => {
  plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [schedulerQueue],
    schedules,
    authorize: ({ headers }) => ({
      actor: ana,
      permissions: new Set(String(headers['x-may'] ?? 'schedule.read schedule.run schedule.control').split(' ')),
      secondFactorAt: new Date(),
    }),
  });
  app = fastify();
  await app.register(plane.http, { prefix: '/api/v1/admin' });
});
afterAll(async () => {
  await app.close();
  await plane.close();
});
beforeEach(async () => {
  for (const table of ['schedule_run', 'schedule', 'job_outbox', 'job_run'])
    await plane.db.query({ name: '', text: `delete from ops.${table}`, values: [] });
});

/** A scheduler that looked so many minutes ago, and looks again now. */
const lookedAgo = async (minutes: number) => {
  const { db, log } = plane;
  await tickAll({ db, log, schedules, clock: async () => new Date(Date.now() - minutes * 60_000) });
  await tickAll({ db, log, schedules });
};
const get = (path: string, headers: Record<string, string> = {}) =>
  app.inject({ url: `/api/v1/admin/schedules${path}`, headers });
let keys = 0;
const post = (path: string, payload: object = {}, headers: Record<string, string> = {}) =>
  app.inject({
    method: 'POST',
    url: `/api/v1/admin/schedules${path}`,
    payload,
    headers: { 'idempotency-key': `routes-test-${(keys += 1)}`, ...headers },
  });
const reason = 'to see what happens';
const audits = async (action: string) =>
  (await plane.db.query(sql`select from ops.audit_log where action = ${action}`)).rowCount;

describe('GET /schedules', () => {
  it('shows each schedule in the shape of the contract', async () => {
    await lookedAgo(31);
    const { schedules: list, as_of } = scheduleList.parse((await get('')).json());
    expect(as_of).toEqual(expect.any(String));
    expect(list.map(({ name }) => name)).toEqual(['tidy', 'nightly', 'off']);
    expect(list[0]).toMatchObject({
      cron: '*/5 * * * *',
      tz: 'UTC',
      words: 'every 5 minutes',
      enabled: true,
      paused: null,
      catch_up: 'last',
      overlap: false,
      grace_s: 30,
      limit_s: 300,
      last_run: null,
      late_24h: 0,
      drift: [],
    });
    expect(list[0]?.missed_24h).toBeGreaterThanOrEqual(5);
    expect(list[0]?.outcomes[0]).toMatchObject({ state: 'expected' });
    expect(Date.parse(list[0]?.next_run ?? '')).toBeGreaterThan(Date.now() - 1_000);
    expect(list[2]).toMatchObject({ enabled: false, next_run: null, missed_24h: 0, outcomes: [] });
  });

  it('says how ledger and configuration differ', async () => {
    const drifts = async () =>
      scheduleList.parse((await get('')).json()).schedules.map(({ name, drift }) => `${name}: ${drift.join()}`);
    expect(await drifts()).toEqual(['tidy: not_recorded', 'nightly: not_recorded', 'off: not_recorded']);
    await lookedAgo(0);
    await plane.db.query(sql`update ops.schedule set cron = '1 * * * *' where name = 'nightly'`);
    await plane.db.query(
      sql`update ops.schedule_run set fire_at = now() - interval '1 hour', next_at = null where schedule = 'tidy'`,
    );
    await plane.db.query(sql`
      insert into ops.schedule select 'gone', cron, time_zone, catch_up, overlap, enabled, last_tick, ruled_since, created_at
      from ops.schedule where name = 'tidy'`);
    expect(await drifts()).toEqual(['tidy: behind', 'nightly: changed', 'off: ', 'gone: removed']);
  });
});

describe('GET /schedules/:name/runs', () => {
  it('shows the ledger newest first, by state and in pages', async () => {
    await lookedAgo(31);
    const all = scheduleRunList.parse((await get('/tidy/runs?limit=200')).json()).runs;
    expect(all.map(({ expected_at }) => expected_at)).toEqual(
      all
        .map(({ expected_at }) => expected_at)
        .toSorted()
        .toReversed(),
    );
    expect(all[0]).toMatchObject({ state: 'expected', job_id: null });
    expect(all[1]).toMatchObject({ state: 'expected', job_id: expect.stringMatching(/^sch-tidy-\d+$/) });
    const missed = scheduleRunList.parse((await get('/tidy/runs?state=missed&limit=3')).json());
    expect(missed.runs.every(({ state, reason: why }) => state === 'missed' && why === 'outage')).toBe(true);
    const rest = scheduleRunList.parse(
      (await get(`/tidy/runs?state=missed&limit=3&cursor=${missed.pagination.next_cursor}`)).json(),
    );
    const ids = [...missed.runs, ...rest.runs].map(({ run_id }) => run_id);
    expect(ids).toEqual(
      all
        .filter(({ state }) => state === 'missed')
        .slice(0, ids.length)
        .map(({ run_id }) => run_id),
    );
    const other = await get(`/tidy/runs?state=done&cursor=${missed.pagination.next_cursor}`);
    expect(other.json()).toMatchObject({ code: 'cursor_invalid' });
  });

  it('of a schedule that is not there is 404, with those that are', async () => {
    const answer = await get('/nobody/runs');
    expect([answer.statusCode, answer.json().details]).toEqual([404, { schedules: ['tidy', 'nightly', 'off'] }]);
  });
});

describe('POST /schedules/:name/run', () => {
  it('plans a run: the same key is the same run, another key waits for its end', async () => {
    await lookedAgo(0);
    const headers = { 'idempotency-key': 'the-same-key' };
    const first = await post('/tidy/run', { reason }, headers);
    expect(first.statusCode).toBe(202);
    const { run_id, job_id } = requestedRun.parse(first.json());
    expect(job_id).toMatch(/^sch-tidy-\d+-[0-9a-f]{8}$/);
    const again = await post('/tidy/run', { reason }, headers);
    expect([again.json(), again.headers['idempotency-replayed']]).toEqual([{ run_id, job_id }, 'true']);
    const other = await post('/tidy/run', { reason });
    expect([other.statusCode, other.json()]).toMatchObject([409, { code: 'run_open', details: { run_id } }]);
    expect(await audits('schedule.run_requested')).toBe(1);
  });

  it('asks for a key, a reason, and a schedule that is on', async () => {
    await lookedAgo(0);
    const answers = [
      await post('/tidy/run', { reason }, { 'idempotency-key': 'short' }),
      await post('/tidy/run'),
      await post('/off/run', { reason }),
      await post('/tidy/run', { reason }, { 'x-may': 'schedule.read' }),
    ];
    expect(answers.map((answer) => answer.json().code)).toEqual([
      'validation_failed',
      'reason_required',
      'schedule_off',
      'missing_permission',
    ]);
  });
});

describe('POST /schedules/:name/catch-up', () => {
  const span = (minutes: number) => ({
    from: new Date(Date.now() - minutes * 60_000).toISOString(),
    to: new Date().toISOString(),
  });

  it('lists the missed ticks without a change, then runs each of them once', async () => {
    await lookedAgo(31);
    const dry = await post('/tidy/catch-up', { ...span(60), dry_run: true });
    expect(dry.statusCode).toBe(200);
    const { ticks, more } = caughtUp.parse(dry.json());
    expect([ticks.length >= 5, more, ticks.every(({ job_id }) => job_id === null)]).toEqual([true, false, true]);
    const done = await post('/tidy/catch-up', { ...span(60), reason });
    expect(done.statusCode).toBe(202);
    const planned = caughtUp.parse(done.json()).ticks;
    expect(planned.map(({ run_id }) => run_id)).toEqual(ticks.map(({ run_id }) => run_id));
    expect(planned.every(({ job_id }) => job_id?.startsWith('sch-tidy-'))).toBe(true);
    expect(caughtUp.parse((await post('/tidy/catch-up', { ...span(60), reason })).json()).ticks).toEqual([]);
    expect(await audits('schedule.caught_up')).toBe(1);
  });

  it('runs 100 at most, and says that there are more', async () => {
    await lookedAgo(600);
    const { ticks, more } = caughtUp.parse((await post('/tidy/catch-up', { ...span(700), reason })).json());
    expect([ticks.length, more]).toEqual([100, true]);
  });

  it('gives a tick that is missed again another job', async () => {
    await lookedAgo(11);
    const [tick] = caughtUp.parse((await post('/tidy/catch-up', { ...span(60), reason })).json()).ticks;
    await plane.db.query(
      sql`update ops.schedule_run set miss_after = now() - interval '1 second' where run_key = ${tick?.job_id}`,
    );
    await tickAll({ db: plane.db, log: plane.log, schedules });
    const again = caughtUp.parse((await post('/tidy/catch-up', { ...span(60), reason })).json()).ticks[0];
    expect(again).toEqual({ ...tick, job_id: `${tick?.job_id}-2` });
  });

  it('asks for times in order, and a reason where something changes', async () => {
    await lookedAgo(0);
    const { from, to } = span(60);
    expect((await post('/tidy/catch-up', { from: to, to: from, dry_run: true })).statusCode).toBe(400);
    expect((await post('/tidy/catch-up', { from, to })).json()).toMatchObject({ code: 'reason_required' });
  });
});

describe('POST /schedules/:name/pause and resume', () => {
  it('say who, why and until when; the same again is no second row', async () => {
    await lookedAgo(0);
    const paused = controlledSchedule.parse((await post('/tidy/pause', { reason, for_s: 600 })).json());
    expect(paused).toMatchObject({ name: 'tidy', already: false, paused: { by: 'Ana', reason } });
    expect((await post('/tidy/pause', { reason })).json()).toMatchObject({ already: true });
    expect(scheduleList.parse((await get('')).json()).schedules[0]?.paused).toEqual(paused.paused);
    expect((await post('/tidy/resume')).json()).toEqual({ name: 'tidy', paused: null, already: false });
    expect((await post('/tidy/resume')).json()).toMatchObject({ already: true });
    expect([await audits('schedule.paused'), await audits('schedule.resumed')]).toEqual([1, 1]);
  });

  it('need the permission to control', async () => {
    const may = { 'x-may': 'schedule.read schedule.run' };
    expect((await post('/tidy/pause', { reason }, may)).statusCode).toBe(403);
    expect((await post('/tidy/resume', {}, may)).statusCode).toBe(403);
  });
});
