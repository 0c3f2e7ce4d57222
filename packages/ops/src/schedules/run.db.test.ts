import { randomUUID } from 'node:crypto';
import fastify from 'fastify';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { opsPermissions } from '../permissions/index.ts';
import { PermanentError } from '../queues/index.ts';
import { openTestPlane, pollUntil, type TestPlane } from '../testing/index.ts';
import { catchUp, type Counts, type ScheduleContext, type ScheduleDefinition, schedulerQueue } from './index.ts';
import { runNow } from './run-now.ts';
import type { RunRow } from './run-rows.ts';
import { ana, tidy } from './schedules.fixture.ts';
import { readOverdue } from './watch.ts';

let plane: TestPlane;
afterEach(() => plane.close());

async function open(schedules: readonly ScheduleDefinition[]) {
  plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [schedulerQueue],
    schedules,
    scheduleEveryMs: 50,
    authorize: () => ({ actor: ana, permissions: new Set(Object.keys(opsPermissions)), secondFactorAt: new Date() }),
  });
  await plane.run({});
  return plane;
}

const reason = 'to see that it runs';
/** Yearly, so that only runs by hand happen. */
const byHand = (run: (context: ScheduleContext) => Promise<Counts>, more: object = {}) =>
  tidy({ cron: '0 0 1 1 *', run, ...more });

const runs = async () =>
  (await plane.db.query<RunRow>(sql`select * from ops.schedule_run where run_key is not null order by fire_at, id`))
    .rows;
const settled = (id: string, state: RunRow['state']) =>
  pollUntil(async () => (await runs()).find((run) => run.id === id && run.state === state));
const known = () => pollUntil(async () => (await plane.db.query(sql`select from ops.schedule`)).rowCount > 0);
const request = async (definition: ScheduleDefinition) => {
  await known();
  return (await plane.db.transaction((tx) => runNow(tx, { definition, actor: ana, reason }))).run_id;
};
/** What an operator does by hand. */
const post = async (path: string, payload?: object) => {
  const app = fastify();
  await app.register(plane.http, { prefix: '/api/v1/admin' });
  const { statusCode } = await app.inject({ method: 'POST', url: `/api/v1/admin${path}`, ...(payload && { payload }) });
  await app.close();
  return statusCode;
};
const audits = async () =>
  (
    await plane.db.query<Record<string, unknown>>(
      sql`select action, actor_name, target_id, details from ops.audit_log order by seq`,
    )
  ).rows;
const logged = (event: string) => plane.lines.filter((line) => line.event === event);

describe('a run', () => {
  it('happens at its fire times, each recorded with what it did', async () => {
    const seen: Date[] = [];
    const everySecond = tidy({
      cron: '* * * * * *',
      run: async ({ fireAt }) => {
        seen.push(fireAt);
        return { checked: 3 };
      },
    });
    await open([everySecond]);
    await pollUntil(async () => (await runs()).filter(({ state }) => state === 'done').length >= 2);
    const [first, second] = (await runs()).filter(({ state }) => state === 'done');
    expect(first).toMatchObject({ counts: { checked: 3 }, late: false, overran: false, origin: 'schedule' });
    expect((second?.fire_at.getTime() ?? 0) - (first?.fire_at.getTime() ?? 0)).toBe(1_000);
    expect(seen[0]).toEqual(first?.fire_at);
  });

  it('has one audit row, two log lines and its counts in all of them', async () => {
    const definition = byHand(async () => ({ checked: 3, removed: 1 }));
    await open([definition]);
    const id = await request(definition);
    await settled(id, 'done');
    expect(await audits()).toMatchObject([
      { action: 'schedule.run_requested', actor_name: 'Ana', target_id: 'tidy', details: { run_id: id } },
      { action: 'tidy.ran', actor_name: 'system', details: { run_id: id, origin: 'manual', checked: 3, removed: 1 } },
    ]);
    await pollUntil(() => logged('scheduled_job_completed').length === 1);
    expect(logged('scheduled_job_started')).toMatchObject([{ metadata: { schedule: 'tidy', run_id: id } }]);
    expect(logged('scheduled_job_completed')).toMatchObject([
      { metadata: { schedule: 'tidy', run_id: id, duration_ms: expect.any(Number), checked: 3, removed: 1 } },
    ]);
    expect(plane.metrics.value('job_duration_ms', { queue: 'scheduler' })).toBe(1);
  });

  it('that dies is failed with its dead letter, and done when that is retried', async () => {
    let health: Error | undefined = new PermanentError('the bank is closed');
    const definition = byHand(async () => {
      if (health) throw health;
      return { checked: 1 };
    });
    await open([definition]);
    const id = await request(definition);
    const failed = await settled(id, 'failed');
    expect(failed).toMatchObject({ reason: 'permanent', dead_letter_id: expect.any(String), counts: null });
    expect(logged('scheduled_job_failed')).toMatchObject([
      { level: 'error', metadata: { schedule: 'tidy', run_id: id, error: { message: 'the bank is closed' } } },
    ]);
    expect((await audits()).at(-1)).toMatchObject({ action: 'schedule.run_failed', details: { cause: 'permanent' } });
    health = undefined;
    expect(await post(`/queues/dlq/${failed.dead_letter_id}/retry`)).toBe(200);
    expect(await settled(id, 'done')).toMatchObject({ counts: { checked: 1 }, reason: null });
  });

  it('that is retried from its dead letter has the times of that, and no marks of the first', async () => {
    let isBroken = true;
    const definition = byHand(async () => {
      if (isBroken) throw new PermanentError('the bank is closed');
      return {};
    });
    await open([definition]);
    const id = await request(definition);
    const { dead_letter_id } = await settled(id, 'failed');
    await plane.db.query(sql`
      update ops.schedule_run
      set fire_at = fire_at - interval '2 hours', late_after = late_after - interval '2 hours', late = true, overran = true,
          started_at = started_at - interval '1 hour', ended_at = ended_at - interval '1 hour'
      where id = ${id}`);
    isBroken = false;
    expect(await post(`/queues/dlq/${dead_letter_id}/retry`)).toBe(200);
    const { started_at, ended_at, ...run } = await settled(id, 'done');
    expect(Date.now() - (started_at?.getTime() ?? 0)).toBeLessThan(60_000);
    expect((ended_at?.getTime() ?? 0) - (started_at?.getTime() ?? 0)).toBeLessThan(60_000);
    expect(run).toMatchObject({ late: false, overran: false });
  });

  it('whose job is removed between two attempts is failed, and holds up no other', async () => {
    const definition = byHand(async () => {
      throw new Error('a moment of weakness');
    });
    await open([definition]);
    const id = await request(definition);
    const job = await pollUntil(async () => {
      const { rows } = await plane.db.query<{ run_key: string }>(
        sql`select run_key from ops.job_run where failures = 1 and started = finished`,
      );
      return rows[0]?.run_key;
    });
    expect((await runs())[0]).toMatchObject({ state: 'started' });
    expect(await post(`/queues/scheduler/jobs/${job}/remove`, { reason })).toBe(200);
    expect((await runs())[0]).toMatchObject({
      id,
      state: 'failed',
      reason: 'removed',
      ended_at: expect.any(Date),
      dead_letter_id: expect.any(String),
    });
    expect(await audits()).toContainEqual(
      expect.objectContaining({
        action: 'schedule.run_failed',
        details: expect.objectContaining({ run_id: id, cause: 'removed' }),
      }),
    );
    expect(await request(definition)).not.toBe(id);
  });

  it('stays as it failed where its retry is removed before it ran', async () => {
    const definition = byHand(async () => {
      throw new PermanentError('the bank is closed');
    });
    await open([definition]);
    const failed = await settled(await request(definition), 'failed');
    expect(await post(`/queues/dlq/${failed.dead_letter_id}/retry`, { delay_ms: 3_600_000 })).toBe(200);
    const { rows } = await plane.db.query<{ run_key: string }>(
      sql`select run_key from ops.job_run where generation = 1`,
    );
    expect(await post(`/queues/scheduler/jobs/${rows[0]?.run_key}/remove`, { reason })).toBe(200);
    expect(await runs()).toEqual([failed]);
  });

  it('is tried again after a failed attempt, under the same id', async () => {
    const attempts: string[] = [];
    const definition = byHand(async ({ runId }) => {
      attempts.push(runId);
      if (attempts.length === 1) throw new Error('a moment of weakness');
      return { attempts: attempts.length };
    });
    await open([definition]);
    const id = await request(definition);
    const job = (await runs())[0]?.run_key;
    await pollUntil(async () => (await post(`/queues/scheduler/jobs/${job}/promote`)) === 200);
    expect(await settled(id, 'done')).toMatchObject({ counts: { attempts: 2 } });
    expect(attempts).toEqual([id, id]);
  });

  it('waits while another one is under way, and two are never open at once', async () => {
    const gate = Promise.withResolvers<void>();
    let [open_, most] = [0, 0];
    const definition = byHand(async () => {
      most = Math.max(most, (open_ += 1));
      await gate.promise;
      open_ -= 1;
      return {};
    });
    await open([definition]);
    const first = await request(definition);
    await settled(first, 'started');
    await expect(request(definition)).rejects.toMatchObject({ code: 'run_open', details: { run_id: first } });
    const missed = randomUUID();
    await plane.db.query(sql`
      insert into ops.schedule_run (id, schedule, fire_at, origin, state, reason, late_after, miss_after, limit_ms)
      values (${missed}, 'tidy', now() - interval '1 hour', 'schedule', 'missed', 'outage', now(), now(), 1000)`);
    const span = { from: new Date(Date.now() - 7_200_000), to: new Date(), actor: ana, reason };
    await plane.db.transaction((tx) => catchUp(tx, { definition, ...span, isDryRun: false }));
    await pollUntil(() => logged('job_snoozed').length > 0);
    expect((await runs()).find(({ id }) => id === missed)).toMatchObject({ state: 'expected', origin: 'catch_up' });
    gate.resolve();
    await settled(first, 'done');
    expect(await settled(missed, 'done')).toMatchObject({ late: true });
    expect(most).toBe(1);
  });

  it('that is asked for a schedule of another version is buried', async () => {
    const definition = byHand(async () => ({}));
    await open([definition]);
    await known();
    await plane.db.query(sql`
      insert into ops.schedule (name, cron, time_zone, catch_up, overlap, enabled, last_tick, ruled_since, created_at)
      select 'gone', cron, time_zone, catch_up, overlap, enabled, last_tick, ruled_since, created_at from ops.schedule`);
    const id = await request({ ...definition, name: 'gone' });
    expect(await settled(id, 'failed')).toMatchObject({ reason: 'permanent' });
  });

  it('of a schedule that is switched off is refused', async () => {
    const definition = byHand(async () => ({}), { enabled: false });
    await open([definition]);
    await expect(request(definition)).rejects.toMatchObject({ code: 'schedule_off' });
  });
});

describe('the watchdog', () => {
  const rule = tidy();
  const at = (time: string) => new Date(time);
  const overdue = async (now: string, schedules = [rule]) =>
    (await readOverdue(plane.db, { schedules, now: at(now), since: at('2026-01-02T13:58Z') }))[0];

  it('sees a schedule that no scheduler ever took over', async () => {
    plane = await openTestPlane({ adminUrl: inject('databaseUrl'), redisUrl: inject('redisUrl'), queues: [] });
    expect(await overdue('2026-01-02T14:02Z')).toEqual({
      schedule: 'tidy',
      overdueS: 120,
      graceS: 30,
      lastSuccess: at('2026-01-02T13:58Z'),
    });
  });
});
