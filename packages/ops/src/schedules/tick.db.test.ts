import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { compareFireTimes } from './compare-fire-times.ts';
import type { ScheduleDefinition } from './definition.ts';
import { openTravel, tidy, type Travel } from './schedules.fixture.ts';
import { tickAll } from './scheduler.ts';
import { tick } from './tick.ts';

let travel: Travel;
beforeAll(async () => {
  travel = await openTravel();
});
afterAll(() => travel.plane.close());
beforeEach(async () => {
  await forgetAll();
});

/** Faster than to truncate. */
const forgetAll = () =>
  travel.plane.db.transaction(async (tx) => {
    await tx.query(sql`delete from ops.schedule_run`);
    await tx.query(sql`delete from ops.schedule`);
    await tx.query(sql`delete from ops.job_outbox`);
    await tx.query(sql`delete from ops.job_run`);
  });

/** Ends what is open, as a worker would. */
const endOpenRuns = () =>
  travel.plane.db.query(sql`
    update ops.schedule_run set state = 'done', started_at = fire_at, ended_at = fire_at, counts = '{}'
    where state = 'expected' and run_key is not null`);

describe('a fire time', () => {
  it('is in the ledger before it is due', async () => {
    await travel.at('2026-01-02T14:02Z');
    expect(await travel.ledger()).toEqual(['2026-01-02T14:05Z expected']);
    expect(await travel.jobs()).toEqual([]);
  });

  it('gets its job when it comes, and the next one is expected', async () => {
    await travel.at('2026-01-02T14:02Z');
    await travel.at('2026-01-02T14:05:01Z');
    expect(await travel.ledger()).toEqual(['2026-01-02T14:05Z expected job', '2026-01-02T14:10Z expected']);
    expect(await travel.jobs()).toEqual([`sch-tidy-${Date.UTC(2026, 0, 2, 14, 5) / 1_000}`]);
  });

  it('is recorded once, however many schedulers look at once', async () => {
    await travel.at('2026-01-02T14:02Z');
    travel.set('2026-01-02T14:05:01Z');
    const { db, log } = travel.plane;
    await Promise.all(Array.from({ length: 8 }, () => tickAll({ db, log, schedules: [tidy()], clock: travel.clock })));
    expect(await travel.ledger()).toEqual(['2026-01-02T14:05Z expected job', '2026-01-02T14:10Z expected']);
    expect(await travel.jobs()).toHaveLength(1);
  });

  it('is recorded whole or not at all', async () => {
    await travel.at('2026-01-02T14:02Z');
    const died = travel.plane.db.transaction(async (tx) => {
      await tick(tx, tidy(), { now: new Date('2026-01-02T14:05:01Z') });
      throw new Error('killed');
    });
    await expect(died).rejects.toThrow('killed');
    expect(await travel.ledger()).toEqual(['2026-01-02T14:05Z expected']);
    await travel.at('2026-01-02T14:05:02Z');
    expect(await travel.jobs()).toHaveLength(1);
  });

  it('is skipped while a run is open, where two must not overlap', async () => {
    await travel.at('2026-01-02T14:02Z');
    await travel.at('2026-01-02T14:05Z');
    await travel.plane.db.query(sql`
      update ops.schedule_run set state = 'started', started_at = fire_at where run_key is not null`);
    await travel.at('2026-01-02T14:10Z');
    expect(await travel.ledger()).toEqual([
      '2026-01-02T14:05Z started job',
      '2026-01-02T14:10Z skipped (overlap)',
      '2026-01-02T14:15Z expected',
    ]);
  });

  it('is missed when its job was not started within the interval, and holds up none that follows', async () => {
    await travel.at('2026-01-02T14:02Z');
    await travel.at('2026-01-02T14:05Z');
    await travel.at('2026-01-02T14:10Z');
    await travel.at('2026-01-02T14:15Z');
    expect((await travel.ledger()).slice(0, 3)).toEqual([
      '2026-01-02T14:05Z missed (not_started) job',
      '2026-01-02T14:10Z missed (not_started) job',
      '2026-01-02T14:15Z expected job',
    ]);
    expect(await compareFireTimes(travel.plane.db, [tidy()])).toEqual([]);
  });

  it('is recorded again by nobody when the clock goes back', async () => {
    await travel.at('2026-01-02T14:02Z');
    await travel.at('2026-01-02T14:05Z');
    const before = await travel.ledger();
    await travel.at('2026-01-02T13:05Z');
    await travel.at('2026-01-02T14:05Z');
    expect(await travel.ledger()).toEqual(before);
  });
});

describe('three days without a scheduler', () => {
  const gone = async (definition: ScheduleDefinition) => {
    await travel.at('2026-01-02T14:02Z', [definition]);
    await travel.at('2026-01-05T14:02Z', [definition]);
    const lines = await travel.ledger();
    const count = (what: string) => lines.filter((line) => line.includes(what)).length;
    expect(await compareFireTimes(travel.plane.db, [definition])).toEqual([]);
    return {
      lines: lines.length,
      missed: count('missed (outage)'),
      jobs: (await travel.jobs()).length,
      last: lines.at(-2),
    };
  };

  it('are missed but for the last fire time, every five minutes', async () => {
    const last = '2026-01-05T14:00Z expected job';
    expect(await gone(tidy())).toEqual({ lines: 865, missed: 863, jobs: 1, last });
  });

  it('are missed but for a fire time that is still in time, where nothing is caught up', async () => {
    const last = '2026-01-05T14:00Z expected job';
    expect(await gone(tidy({ catchUp: 'none' }))).toEqual({ lines: 865, missed: 863, jobs: 1, last });
  });

  it('are run up to the limit, where all is caught up', async () => {
    const last = '2026-01-05T14:00Z expected job';
    expect(await gone(tidy({ catchUp: 'all' }))).toEqual({ lines: 865, missed: 764, jobs: 100, last });
  });

  it.each([
    ['none', { lines: 4, missed: 3, jobs: 0, last: '2026-01-05T03:00Z missed (outage)' }],
    ['last', { lines: 4, missed: 2, jobs: 1, last: '2026-01-05T03:00Z expected catch_up job' }],
    ['all', { lines: 4, missed: 0, jobs: 3, last: '2026-01-05T03:00Z expected catch_up job' }],
  ] as const)('of a daily schedule are caught up by `%s`', async (catchUp, expected) => {
    expect(await gone(tidy({ catchUp, cron: '0 3 * * *' }))).toEqual(expected);
  });

  it('are recorded in pieces, where there are thousands', async () => {
    const everyMinute = tidy({ cron: '* * * * *', catchUp: 'all', catchUpLimit: 50 });
    await travel.at('2026-01-02T14:02Z', [everyMinute]);
    await travel.at('2026-01-04T02:02Z', [everyMinute]);
    expect(await compareFireTimes(travel.plane.db, [everyMinute])).toEqual([]);
    expect([(await travel.ledger()).length, (await travel.jobs()).length]).toEqual([2_161, 50]);
  });
});

describe('where the clocks of the zone change', () => {
  const newYork = (cron: string) => tidy({ cron, timeZone: 'America/New_York' });

  /** A look every half hour, with the runs that it plans done at once. */
  const live = async (definition: ScheduleDefinition, [from, until]: [string, string]) => {
    for (let time = Date.parse(from); time <= Date.parse(until); time += 1_800_000) {
      await travel.at(new Date(time).toISOString(), [definition]);
      await endOpenRuns();
    }
    expect(await compareFireTimes(travel.plane.db, [definition])).toEqual([]);
    return (await travel.ledger()).filter((line) => line.includes('done')).map((line) => line.slice(0, 17));
  };

  it('a time that does not exist is run once, at the next instant', async () => {
    expect(await live(newYork('30 2 * * *'), ['2026-03-08T05:00Z', '2026-03-09T08:00Z'])).toEqual([
      '2026-03-08T07:00Z',
      '2026-03-09T06:30Z',
    ]);
  });

  it('a time that exists twice is run the first time only', async () => {
    expect(await live(newYork('30 1 * * *'), ['2026-11-01T04:00Z', '2026-11-02T08:00Z'])).toEqual([
      '2026-11-01T05:30Z',
      '2026-11-02T06:30Z',
    ]);
  });

  it('an outage over the change loses none and doubles none', async () => {
    for (const [from, until] of [
      ['2026-03-07T12:00Z', '2026-03-10T12:00Z'],
      ['2026-10-31T12:00Z', '2026-11-03T12:00Z'],
    ] as const) {
      await forgetAll();
      const hourly = tidy({ cron: '30 * * * *', timeZone: 'America/New_York', catchUp: 'all' });
      await travel.at(from, [hourly]);
      await travel.at(until, [hourly]);
      expect(await compareFireTimes(travel.plane.db, [hourly])).toEqual([]);
      expect((await travel.ledger()).filter((line) => line.includes('job'))).toHaveLength(from < '2026-06' ? 73 : 71);
    }
  });
});

describe('a schedule', () => {
  it('that is switched off expects nothing and misses nothing, and catches up on nothing when it is on again', async () => {
    await travel.at('2026-01-02T14:02Z');
    const off = tidy({ enabled: false });
    await travel.at('2026-01-02T14:04Z', [off]);
    await travel.at('2026-01-03T14:04Z', [off]);
    expect(await travel.ledger()).toEqual([]);
    await travel.at('2026-01-04T14:04Z');
    await travel.at('2026-01-04T14:05Z');
    expect(await travel.ledger()).toEqual(['2026-01-04T14:05Z expected job', '2026-01-04T14:10Z expected']);
  });

  it('with another rule records first what came by the old one', async () => {
    await travel.at('2026-01-02T14:02Z');
    const hourly = tidy({ cron: '0 * * * *' });
    await travel.at('2026-01-02T14:11Z', [hourly]);
    expect(await travel.ledger()).toEqual([
      '2026-01-02T14:05Z missed (outage)',
      '2026-01-02T14:10Z expected job',
      '2026-01-02T15:00Z expected',
    ]);
    await travel.at('2026-01-02T15:00Z', [hourly]);
    expect(await compareFireTimes(travel.plane.db, [hourly])).toEqual([]);
  });

  it('that is configured no more fires no more', async () => {
    await travel.at('2026-01-02T14:02Z');
    await travel.at('2026-01-02T14:04Z', []);
    await travel.at('2026-01-02T15:04Z', []);
    expect(await travel.ledger()).toEqual([]);
    await travel.at('2026-01-02T15:06Z');
    expect(await travel.ledger()).toEqual(['2026-01-02T15:10Z expected']);
  });

  it('whose ticks cannot be recorded holds up none of the others', async () => {
    const others = [tidy(), tidy({ name: 'dust' })];
    await travel.at('2026-01-02T14:02Z', others);
    await travel.plane.db.query(
      sql`alter table ops.schedule_run add constraint no_tidy check (schedule <> 'tidy') not valid`,
    );
    await travel.at('2026-01-02T14:05Z', others);
    await travel.plane.db.query(sql`alter table ops.schedule_run drop constraint no_tidy`);
    expect(await travel.ledger()).toEqual(['2026-01-02T14:05Z expected']);
    expect(await travel.ledger('dust')).toEqual(['2026-01-02T14:05Z expected job', '2026-01-02T14:10Z expected']);
    await travel.at('2026-01-02T14:06Z', others);
    expect(await travel.ledger()).toEqual(['2026-01-02T14:05Z expected job', '2026-01-02T14:10Z expected']);
  });
});

it('whatever happens to the scheduler, the ledger is what the rule says', async () => {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const rules = ['*/7 * * * *', '0,13 */2 * * *', '30 1 * * *', '30 2 * * 0', '0 0 1 * *'];
  const schedules = rules.map((cron, n) =>
    tidy({ name: `rule-${n}`, cron, timeZone: n % 2 ? 'America/New_York' : 'Europe/Berlin', catchUp: 'all' }),
  );
  let time = Date.parse('2026-03-06T00:00Z');
  for (let step = 0; step < 25; step += 1) {
    // Mostly minutes, at times hours, and a day; now and then the clock goes back.
    time += [90_000, 300_000, 3_600_000 * random(8), 86_400_000, -600_000][random(5)] ?? 0;
    await travel.at(new Date(time + random(60_000)).toISOString(), schedules);
    if (random(2) === 0) await endOpenRuns();
  }
  expect(await compareFireTimes(travel.plane.db, schedules, { days: 90 })).toEqual([]);
  expect((await travel.rows('rule-0')).length).toBeGreaterThan(30);
});
