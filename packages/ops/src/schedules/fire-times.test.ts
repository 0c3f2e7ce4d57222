import { describe, expect, it } from 'vitest';
import { checkRule, fireTimes, nextFireTime } from './fire-times.ts';
import { instantOf, wallTimeAt } from './wall-time.ts';

const times = (cron: string, timeZone: string, [after, until]: [string, string]) =>
  fireTimes({ cron, timeZone }, { after: new Date(after), until: new Date(until) }).map((time) =>
    time.toISOString().replace(':00.000Z', 'Z'),
  );

describe('the fire times of a rule', () => {
  it('begin after the span and end with it', () => {
    expect(times('*/5 * * * *', 'UTC', ['2026-01-02T14:00Z', '2026-01-02T14:15Z'])).toEqual([
      '2026-01-02T14:05Z',
      '2026-01-02T14:10Z',
      '2026-01-02T14:15Z',
    ]);
  });

  it('are wall time in its zone', () => {
    expect(times('0 3 * * *', 'Asia/Kolkata', ['2026-01-02T00:00Z', '2026-01-04T00:00Z'])).toEqual([
      '2026-01-02T21:30Z',
      '2026-01-03T21:30Z',
    ]);
  });

  it('may be given in seconds', () => {
    expect(times('*/30 * * * * *', 'UTC', ['2026-01-02T14:00Z', '2026-01-02T14:01Z'])).toEqual([
      '2026-01-02T14:00:30.000Z',
      '2026-01-02T14:01Z',
    ]);
  });

  it('end with the most that is asked for', () => {
    const found = fireTimes(
      { cron: '* * * * *', timeZone: 'UTC' },
      { after: new Date('2026-01-01'), until: new Date('2030-01-01'), most: 3 },
    );
    expect(found).toHaveLength(3);
  });

  it('fall on Sunday at midnight for the weekly rule', () => {
    expect(nextFireTime({ cron: '0 0 * * 0', timeZone: 'UTC' }, new Date('2026-01-02T14:00Z')).toISOString()).toBe(
      '2026-01-04T00:00:00.000Z',
    );
  });
});

describe('where the clocks go forward', () => {
  it('a time that does not exist fires at the next instant there is', () => {
    expect(times('30 2 * * *', 'America/New_York', ['2026-03-07T12:00Z', '2026-03-09T12:00Z'])).toEqual([
      '2026-03-08T07:00Z',
      '2026-03-09T06:30Z',
    ]);
  });

  it('many such times fire once', () => {
    expect(times('*/20 * * * *', 'America/New_York', ['2026-03-08T06:30Z', '2026-03-08T07:30Z'])).toEqual([
      '2026-03-08T06:40Z',
      '2026-03-08T07:00Z',
      '2026-03-08T07:20Z',
    ]);
  });

  it('midnight may be the time that is missing', () => {
    expect(times('0 0 * * *', 'America/Sao_Paulo', ['2018-11-03T12:00Z', '2018-11-05T12:00Z'])).toEqual([
      '2018-11-04T03:00Z',
      '2018-11-05T02:00Z',
    ]);
  });

  it('a whole day may be missing', () => {
    expect(times('0 12 * * *', 'Pacific/Apia', ['2011-12-29T00:00Z', '2011-12-31T12:00Z'])).toEqual([
      '2011-12-29T22:00Z',
      '2011-12-30T10:00Z',
      '2011-12-30T22:00Z',
    ]);
  });

  it('the change may be of half an hour', () => {
    expect(times('15 2 * * *', 'Australia/Lord_Howe', ['2026-10-02T18:00Z', '2026-10-04T18:00Z'])).toEqual([
      '2026-10-03T15:30Z',
      '2026-10-04T15:15Z',
    ]);
  });
});

describe('where the clocks go back', () => {
  it('a time that exists twice fires the first time', () => {
    expect(times('30 1 * * *', 'America/New_York', ['2026-10-31T12:00Z', '2026-11-02T12:00Z'])).toEqual([
      '2026-11-01T05:30Z',
      '2026-11-02T06:30Z',
    ]);
  });

  it('it does so too for who asks between both', () => {
    expect(times('30 1 * * *', 'America/New_York', ['2026-11-01T05:45Z', '2026-11-01T12:00Z'])).toEqual([]);
    expect(times('45 1 * * *', 'America/New_York', ['2026-11-01T06:30Z', '2026-11-01T12:00Z'])).toEqual([]);
  });

  it('a rule of the whole day has a gap of the hour that is repeated', () => {
    expect(times('0,30 * * * *', 'Europe/Berlin', ['2026-10-25T00:00Z', '2026-10-25T02:30Z'])).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-25T02:00Z',
      '2026-10-25T02:30Z',
    ]);
  });
});

describe('wall time', () => {
  const zones = ['UTC', 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Apia'];

  it('leads back to its instant, or to the first of two', () => {
    let seed = 42;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let n = 0; n < 600; n += 1) {
      const zone = zones[n % zones.length] ?? 'UTC';
      const instant = Math.floor(Date.UTC(2010, 0, 1) + random() * 20 * 365 * 86_400_000);
      const wall = wallTimeAt(instant, zone);
      const back = instantOf(wall, zone);
      expect(back).toBeLessThanOrEqual(instant);
      expect(wallTimeAt(back, zone)).toBe(wall);
    }
  });

  it('never goes back: later wall times are later instants, or the same one', () => {
    for (const [zone, from] of [
      ['America/New_York', '2026-03-08'],
      ['America/New_York', '2026-11-01'],
      ['Australia/Lord_Howe', '2026-04-05'],
    ] as const) {
      const walls = Array.from({ length: 24 * 12 }, (_, n) => Date.parse(from) + n * 300_000);
      const instants = walls.map((wall) => instantOf(wall, zone));
      expect(instants).toEqual(instants.toSorted((one, other) => one - other));
    }
  });
});

describe('a rule that cannot be', () => {
  it.each([
    ['99 * * * *', 'UTC', 'no cron rule'],
    ['0 0 31 2 *', 'UTC', 'no cron rule'],
    ['* * *', 'UTC', 'five fields'],
    ['* * * * *', 'Mars/Olympus', 'no time zone'],
  ])('%s in %s is refused', (cron, timeZone, why) => {
    expect(() => checkRule({ cron, timeZone })).toThrow(why);
  });
});
