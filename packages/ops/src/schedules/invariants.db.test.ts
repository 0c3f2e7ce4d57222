import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openLease } from '../leases/index.ts';
import { raw, sql } from '../postgres/index.ts';
import { compareFireTimes, scheduleInvariants } from './index.ts';
import { openTravel, tidy, type Travel } from './schedules.fixture.ts';

let travel: Travel;
beforeAll(async () => {
  travel = await openTravel();
});
afterAll(() => travel.plane.close());
beforeEach(async () => {
  for (const table of ['schedule_run', 'schedule', 'job_outbox', 'job_run', 'lease', 'lease_term'])
    await travel.plane.db.query(raw(`delete from ops.${table}`));
  await travel.at('2026-01-02T14:02Z');
  await travel.at('2026-01-02T14:05Z');
  await travel.at('2026-01-02T14:31Z');
});

/** The rows that break an invariant, of all times. */
const breaches = async (name: string) => {
  const text = scheduleInvariants.find((one) => one.name === name)?.sql ?? '';
  const values = text.includes('$1') ? ['-infinity'] : [];
  return (await travel.plane.db.query({ name: '', text, values })).rows.length;
};
const change = (text: string) => travel.plane.db.query(raw(text));

describe('S1', () => {
  it('holds after an outage', async () => {
    expect(await breaches('S1')).toBe(0);
  });

  it('sees a fire time that is gone', async () => {
    await change(`delete from ops.schedule_run where fire_at = '2026-01-02T14:15Z'`);
    expect(await breaches('S1')).toBe(1);
    expect(await compareFireTimes(travel.plane.db, [tidy()])).toEqual([
      { schedule: 'tidy', fire_at: '2026-01-02T14:15:00.000Z', what: 'unrecorded' },
    ]);
  });

  it('sees a fire time that the rule has not', async () => {
    await change(`
      insert into ops.schedule_run (schedule, fire_at, origin, state, reason, late_after, miss_after, limit_ms)
      values ('tidy', '2026-01-02T14:16Z', 'schedule', 'missed', 'outage', now(), now(), 1)`);
    expect(await breaches('S1')).toBe(2);
    expect(await compareFireTimes(travel.plane.db, [tidy()])).toMatchObject([{ what: 'invented' }]);
  });

  it('sees that the end is missing', async () => {
    await change(`delete from ops.schedule_run where fire_at >= '2026-01-02T14:25Z'`);
    expect(await breaches('S1')).toBe(1);
  });
});

describe('S2', () => {
  const started = `update ops.schedule_run set state = 'started', started_at = now(), reason = null where run_key is not null`;

  it('sees a run that started without its job', async () => {
    await change(started);
    expect(await breaches('S2')).toBe(0);
    await change(`delete from ops.job_run`);
    expect(await breaches('S2')).toBeGreaterThan(0);
  });
});

describe('S3', () => {
  it('holds while leases go from hand to hand, and sees one that does not', async () => {
    const { db } = travel.plane;
    for (let holder = 0; holder < 3; holder += 1) {
      const lease = openLease(db, { name: 'one', holder: randomUUID() });
      await lease.hold();
      await lease.resign();
    }
    expect(await breaches('S3')).toBe(0);
    expect((await db.query(sql`select from ops.lease_term where name = 'one'`)).rowCount).toBe(3);
    await change(`update ops.lease set holder = gen_random_uuid() where name = 'one'`);
    expect(await breaches('S3')).toBe(1);
    await change(`delete from ops.lease_term where term = 2`);
    expect(await breaches('S3')).toBe(2);
  });

  it('sees a term that was before, also where a lease was removed and made again', async () => {
    const hold = () => openLease(travel.plane.db, { name: 'one', holder: randomUUID() }).hold();
    await hold();
    await change(`update ops.lease set term = 2, holder = gen_random_uuid() where name = 'one'`);
    await change(`update ops.lease set term = 1 where name = 'one'`);
    expect(await breaches('S3')).toBe(1);
    await change(`delete from ops.lease`);
    expect(await hold()).toBe(true);
    expect(await breaches('S3')).toBe(1);
  });
});

describe('S4', () => {
  it('sees two runs under way where one may be', async () => {
    await change(`
      update ops.schedule_run set state = 'started', started_at = fire_at, reason = null, run_key = 'run-' || id
      where fire_at <= '2026-01-02T14:10Z'`);
    expect(await breaches('S4')).toBe(1);
    await change(`update ops.schedule set overlap = true`);
    expect(await breaches('S4')).toBe(0);
  });
});
