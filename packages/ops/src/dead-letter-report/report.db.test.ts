import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { foldChanges } from '../dead-letters/index.ts';
import { sql } from '../postgres/index.ts';
import type { Report } from './index.ts';
import { ageChanges, type Draft, insertLetters, openReports } from './report.fixture.ts';

let opened: Awaited<ReturnType<typeof openReports>>;
const [first, second] = ['v1_000000000000000a', 'v1_000000000000000b'] as const;
const many = (count: number, draft: Draft) => Array.from({ length: count }, () => draft);

beforeAll(async () => {
  opened = await openReports();
  const { db } = opened.plane;
  // One statement for each hour: its letters are one row of differences.
  await insertLetters(db, many(4, { fingerprint: first, hoursAgo: 30 }));
  await insertLetters(db, many(3, { fingerprint: first, hoursAgo: 5 }));
  await insertLetters(
    db,
    many(2, { fingerprint: second, queue: 'mail', cause: 'stalled', version: '2.0.0', hoursAgo: 2 }),
  );
  await ageChanges(db);
  await foldChanges(db);
  await insertLetters(db, many(1, { fingerprint: second, queue: 'mail', cause: 'stalled', version: '2.0.0' }));
  await db.query(sql`
    update ops.dead_letter_queue set state = 'resolved', resolved_at = created_at + interval '60 seconds'
    where id = (select id from ops.dead_letter_queue where fingerprint = ${first} and failed_at > now() - interval '6 hours' limit 1)`);
  // A probe is in no figure.
  await db.query(sql`
    insert into ops.dead_letter_queue (queue_name, kind, root_key, cause, state, error_type, error_message, fingerprint, attempts,
      failed_at, first_failed_at, resolved_at, correlation_id, synthetic)
    values ('work', '__probe', 'probe', 'permanent', 'resolved', 'ProbeDeath', '', 'v1_00000000000000ff', 1, now(), now(), now(), 'none', true)`);
});
afterAll(() => opened.plane.close());

const reportOf = async (query = '') => {
  const { status, body } = await opened.call('GET', `/report${query}`);
  expect(status, JSON.stringify(body)).toBe(200);
  return body as unknown as Report;
};

describe('the report', () => {
  it('counts the window beside the one before it', async () => {
    const report = await reportOf();
    expect(report).toMatchObject({
      hours: 24,
      filter: '',
      totals: {
        captured: { value: 6, previous: 4, change: 2 },
        deaths: { value: 6, previous: 4, change: 2 },
        resolved: { value: 1, previous: 0, change: 1 },
        discarded: { value: 0 },
        retried_ok: { value: 0 },
        open_now: { value: 9, previous: 4, change: 5 },
        median_time_to_close_s: 60,
      },
      by_queue: [
        { queue: 'mail', source: 'queue', captured: 3, resolved: 0 },
        { queue: 'work', source: 'queue', captured: 3, resolved: 1 },
      ],
      by_cause: [
        { cause: 'exhausted', count: 3, share: 0.5 },
        { cause: 'stalled', count: 3, share: 0.5 },
      ],
      trend: { direction: 'steady' },
    });
    expect(report.totals.oldest_open_s).toBeGreaterThan(29 * 3_600);
    expect(report.by_version.map(({ version, count }) => `${version} ${count}`)).toEqual(['1.0.0 3', '2.0.0 3']);
  });

  it('names the groups, and those that are new', async () => {
    const { by_error } = await reportOf();
    expect(by_error.toSorted((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1))).toEqual([
      { fingerprint: first, title: `Error on ${first}`, count: 3, share: 0.5, new: false },
      { fingerprint: second, title: `Error on ${second}`, count: 3, share: 0.5, new: true },
    ]);
  });

  it('has every hour, the running one marked', async () => {
    const { by_hour, since } = await reportOf();
    expect(by_hour).toHaveLength(24);
    expect(by_hour[0]?.hour).toBe(since);
    expect(by_hour.map(({ deaths }) => deaths).filter((deaths) => deaths > 0)).toEqual([3, 2, 1]);
    expect(by_hour.filter(({ partial }) => partial)).toEqual([by_hour.at(-1)]);
  });

  it.each([
    ['queue:mail', 3],
    ['-queue:mail', 3],
    [`fp:${second}`, 3],
    ['queue:labour', 3],
    ['cause:stalled', 3],
    ['version:2.0.0', 3],
    ['state:resolved', 1],
    ['connection', 6],
    ['queue:mail error:Error', 3],
  ])('obeys the filter %s', async (q, captured) => {
    const report = await reportOf(`?q=${encodeURIComponent(q)}`);
    expect(report.totals.captured.value).toBe(captured);
    expect(report.by_error.reduce((sum, { count }) => sum + count, 0)).toBe(captured);
  });

  it('says the same from sums and from letters', async () => {
    const [sums, letters] = [await reportOf('?q=queue:work'), await reportOf('?q=queue:work%20attempts:1')];
    expect({ ...letters, as_of: '', filter: '', trend: '', totals: { ...letters.totals, oldest_open_s: 0 } }).toEqual({
      ...sums,
      as_of: '',
      filter: '',
      trend: '',
      totals: { ...sums.totals, oldest_open_s: 0, resolved: letters.totals.resolved },
      by_hour: letters.by_hour,
      by_queue: letters.by_queue,
    });
  });

  it('spans 1 to 720 hours', async () => {
    expect((await reportOf('?hours=48')).totals.captured).toMatchObject({ value: 10, previous: 0 });
    expect((await reportOf('?hours=720')).by_hour).toHaveLength(720);
    expect((await reportOf('?hours=1')).by_hour).toHaveLength(1);
    for (const query of ['hours=0', 'hours=721', 'hours=x', 'days=1']) {
      expect(await opened.call('GET', `/report?${query}`)).toMatchObject({
        status: 400,
        body: { code: 'validation_failed' },
      });
    }
    expect(await opened.call('GET', '/report?q=hour:1')).toMatchObject({
      status: 400,
      body: { code: 'filter_invalid' },
    });
  });
});

describe('retention', () => {
  it('tells what the next cleanup removes and what it holds', async () => {
    const { db } = opened.plane;
    await insertLetters(db, [
      ...many(3, { fingerprint: first, state: 'resolved', hoursAgo: 1_000, closedHoursAgo: 950 }),
      ...many(2, { fingerprint: first, hoursAgo: 1_000 }),
    ]);
    await db.query(sql`
      insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, details, correlation_id)
      values ('system', 'system', 'system', 'dlq.retention_ran', 'schedule', 'dlq-cleanup', '{"deleted": 7, "deleted.work": 7}', 'none')`);
    const { status, body } = await opened.call('GET', '/retention');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      closed_days: 30,
      removes: { count: 3 },
      holds: { count: 2 },
      last: { removed: { work: 7 } },
    });
    expect(new Date(body.next_at as string).getUTCDay()).toBe(0);
  });

  it('follows the schedule of the cleanup, where there is one', async () => {
    const { db } = opened.plane;
    const soon = new Date(Date.now() + 3_600_000);
    await db.query(sql`
      insert into ops.schedule (name, cron, time_zone, catch_up, overlap, enabled, last_tick, ruled_since, created_at)
      values ('dlq-cleanup', '0 * * * *', 'UTC', 'last', false, true, now(), now(), now())`);
    await db.query(sql`
      insert into ops.schedule_run (schedule, fire_at, origin, state, late_after, miss_after, limit_ms)
      values ('dlq-cleanup', ${soon}, 'schedule', 'expected', now(), now(), 1000)`);
    expect((await opened.call('GET', '/retention')).body).toMatchObject({ next_at: soon.toISOString() });
  });
});
