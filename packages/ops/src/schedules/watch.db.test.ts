import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { pauseSchedule, resumeSchedule } from './pause.ts';
import { ana, openTravel, tidy, type Travel } from './schedules.fixture.ts';
import { readOverdue } from './watch.ts';

let travel: Travel;
beforeAll(async () => {
  travel = await openTravel();
});
afterAll(() => travel.plane.close());
beforeEach(async () => {
  await travel.plane.db.query(sql`delete from ops.schedule_run`);
  await travel.plane.db.query(sql`delete from ops.schedule`);
});

const day = '2026-01-02T';
const overdueAt = async (time: string, definition = tidy()) => {
  const [one] = await readOverdue(travel.plane.db, {
    schedules: [definition],
    now: new Date(`${day}${time}`),
    since: new Date(`${day}13:58Z`),
  });
  return one?.overdueS;
};
const end = (state: string) =>
  travel.plane.db.query(sql`
    update ops.schedule_run
    set state = ${state}, reason = null, started_at = fire_at, ended_at = fire_at, counts = '{}' where run_key is not null`);

describe('what is overdue', () => {
  it('is nothing before its fire time', async () => {
    await travel.at(`${day}14:02Z`);
    expect(await overdueAt('14:05Z')).toBe(0);
  });

  it('counts from the fire time that nobody recorded: the scheduler is dead', async () => {
    await travel.at(`${day}14:02Z`);
    expect(await overdueAt('14:06Z')).toBe(60);
    expect(await overdueAt('16:05Z')).toBe(7_200);
  });

  it('counts from the fire time that nobody started: no worker takes the job', async () => {
    await travel.at(`${day}14:02Z`);
    await travel.at(`${day}14:05Z`);
    expect(await overdueAt('14:08Z')).toBe(180);
  });

  it('goes on where runs are missed, and ends with the next one that starts', async () => {
    await travel.at(`${day}14:02Z`);
    await travel.at(`${day}14:05Z`);
    await travel.at(`${day}14:10Z`);
    expect(await overdueAt('14:11Z')).toBe(360);
    await end('started');
    expect(await overdueAt('14:11Z')).toBe(0);
  });

  it('counts from the first fire time that a run without an end held up, until that run ends', async () => {
    await travel.at(`${day}14:02Z`);
    await travel.at(`${day}14:05Z`);
    await travel.plane.db.query(
      sql`update ops.schedule_run set state = 'started', started_at = fire_at where run_key is not null`,
    );
    await travel.at(`${day}14:10Z`);
    await travel.at(`${day}14:15Z`);
    expect((await travel.ledger()).slice(0, 3)).toEqual([
      `${day}14:05Z started job`,
      `${day}14:10Z skipped (overlap)`,
      `${day}14:15Z skipped (overlap)`,
    ]);
    expect(await overdueAt('14:16Z')).toBe(360);
    await travel.plane.db.query(sql`
      update ops.schedule_run set state = 'done', ended_at = ${new Date(`${day}14:17Z`)}, counts = '{}'
      where state = 'started'`);
    expect(await overdueAt('14:18Z')).toBe(0);
  });

  it('is nothing while it is paused or switched off', async () => {
    await travel.at(`${day}14:02Z`);
    const { db } = travel.plane;
    const paused = { name: 'tidy', actor: ana, reason: 'the bank is closed', clock: travel.clock };
    await db.transaction((tx) => pauseSchedule(tx, { ...paused, forS: 600 }));
    expect(await overdueAt('14:11Z')).toBe(0);
    expect(await overdueAt('14:13Z')).toBe(480);
    expect(await overdueAt('14:11Z', tidy({ enabled: false }))).toBe(0);
    await db.transaction((tx) => resumeSchedule(tx, paused));
    expect(await overdueAt('14:11Z')).toBe(360);
  });

  it('is seen where no scheduler ever took the schedule over', async () => {
    expect(await overdueAt('14:02Z')).toBe(120);
  });
});

describe('a pause', () => {
  const request = () => ({ name: 'tidy', actor: ana, reason: 'the bank is closed', clock: travel.clock });
  const pause = (forS?: number) =>
    travel.plane.db.transaction((tx) => pauseSchedule(tx, { ...request(), ...(forS && { forS }) }));
  const resume = () => travel.plane.db.transaction((tx) => resumeSchedule(tx, request()));

  it('skips ticks, which stay in the ledger, until somebody resumes', async () => {
    await travel.at(`${day}14:02Z`);
    expect(await pause()).toMatchObject({ already: false, paused: { by: 'Ana', until: null } });
    expect(await pause()).toMatchObject({ already: true });
    await travel.at(`${day}14:10Z`);
    await travel.at(`${day}14:12Z`);
    expect(await resume()).toEqual({ name: 'tidy', paused: null, already: false });
    expect(await resume()).toMatchObject({ already: true });
    await travel.at(`${day}14:15Z`);
    expect((await travel.ledger()).slice(0, 3)).toEqual([
      `${day}14:05Z skipped (paused)`,
      `${day}14:10Z skipped (paused)`,
      `${day}14:15Z expected job`,
    ]);
  });

  it('ends by itself, and is remembered for ticks that are recorded after it', async () => {
    await travel.at(`${day}14:02Z`);
    await pause(480);
    await travel.at(`${day}14:15Z`);
    expect((await travel.ledger()).slice(0, 3)).toEqual([
      `${day}14:05Z skipped (paused)`,
      `${day}14:10Z skipped (paused)`,
      `${day}14:15Z expected job`,
    ]);
  });
});
