import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { foldChanges } from '../dead-letters/index.ts';
import { sql } from '../postgres/index.ts';
import { insertLetters, type LetterDraft, openGroups } from './letters.fixture.ts';

let opened: Awaited<ReturnType<typeof openGroups>>;
beforeAll(async () => {
  opened = await openGroups();
});
afterAll(() => opened.plane.close());

const groupsOf = async (query = '') => {
  const { status, body } = await opened.call('GET', `/groups${query}`);
  expect(body).toMatchObject({ groups: expect.any(Array) });
  expect(status).toBe(200);
  return body as unknown as {
    groups: (Record<string, unknown> & { fingerprint: string; count: number; hourly: number[] })[];
    pagination: { next_cursor: string | null; prev_cursor: string | null };
  };
};
const counts = async (query = '') =>
  Object.fromEntries((await groupsOf(query)).groups.map(({ fingerprint, count }) => [fingerprint, count]));

const many = (count: number, draft: LetterDraft) => Array.from({ length: count }, () => draft);
const [first, second, third] = ['v1_aaaaaaaa00000001', 'v1_bbbbbbbb00000002', 'v1_cccccccc00000003'];

describe('the list of groups', () => {
  beforeAll(async () => {
    const { db } = opened.plane;
    await insertLetters(db, [
      ...many(3, { fingerprint: first, hoursAgo: 2 }),
      ...many(2, { fingerprint: first, queue: 'mail', state: 'resolved', cause: 'stalled', hoursAgo: 3 }),
      ...many(4, { fingerprint: second, hoursAgo: 1, errorType: 'TypeError', message: 'x is not a function' }),
      ...many(1, { fingerprint: third, state: 'discarded', hoursAgo: 30 }),
    ]);
    await foldChanges(db);
    // Some folded, some not: a reader must not see the difference.
    await insertLetters(db, many(2, { fingerprint: first, hoursAgo: 0.001 }));
  });

  it('counts all of each group, the newest death first', async () => {
    const { groups } = await groupsOf();
    expect(groups.map(({ fingerprint, count }) => [fingerprint, count])).toEqual([
      [first, 7],
      [second, 4],
      [third, 1],
    ]);
    expect(groups[0]).toMatchObject({
      title: 'Error: no connection',
      error_type: 'Error',
      open: 5,
      deaths: 7,
      queues: ['mail', 'work'],
      causes: ['exhausted', 'stalled'],
      state: 'active',
      growing: true,
      assignee: null,
      snooze: null,
      last_canary: null,
      version: 1,
    });
    expect(groups[0]?.hourly).toHaveLength(24);
    expect(groups[0]?.hourly.reduce((sum, count) => sum + count, 0)).toBe(7);
    expect(groups[2]).toMatchObject({ open: 0, state: 'quiet' });
  });

  it.each([
    ['state:open', { [first]: 5, [second]: 4 }],
    ['state:closed', { [first]: 2, [third]: 1 }],
    ['queue:mail', { [first]: 2 }],
    ['queue:labour state:open', { [first]: 5, [second]: 4 }],
    ['-queue:mail', { [first]: 5, [second]: 4, [third]: 1 }],
    ['state:open state:closed', {}],
    ['error:TypeError', { [second]: 4 }],
    ['function', { [second]: 4 }],
    ['state:pending', { [first]: 5, [second]: 4 }],
    ['cause:stalled', { [first]: 2 }],
    ['failed:>2001-01-01T00:00:00Z state:open', { [first]: 5, [second]: 4 }],
    ['age:>1d', { [third]: 1 }],
    ['age:<1d', { [first]: 7, [second]: 4 }],
    ['age:<1d state:closed', { [first]: 2 }],
    ['age:<90m', { [first]: 2, [second]: 4 }],
    ['age:<90m queue:work', { [first]: 2, [second]: 4 }],
  ])('obeys the filter %s', async (q, expected) => {
    expect(await counts(`?q=${encodeURIComponent(q)}`)).toEqual(expected);
  });

  it('sorts by count and by growth', async () => {
    const order = async (sort: string) =>
      (await groupsOf(`?sort=${sort}`)).groups.map(({ fingerprint }) => fingerprint);
    expect(await order('-count')).toEqual([first, second, third]);
    const growth = (await groupsOf('?sort=-growth')).groups.map((group) => group.growth as number);
    expect(growth).toEqual(growth.toSorted((a, b) => b - a));
    expect(growth[0]).toBeGreaterThan(0);
    const filtered = (await groupsOf('?sort=-growth&q=attempts:2')).groups.map((group) => group.growth as number);
    expect(filtered).toEqual(filtered.toSorted((a, b) => b - a));
  });

  it.each([
    ['-last_seen', ''],
    ['-count', ''],
    ['-growth', ''],
    ['-last_seen', 'age:<2d'],
    ['-count', 'age:<2d'],
    ['-last_seen', 'attempts:2'],
  ])('pages there and back by %s, of "%s"', async (sort, q) => {
    const list = `?sort=${sort}&q=${encodeURIComponent(q)}`;
    const all = (await groupsOf(list)).groups.map(({ fingerprint }) => fingerprint);
    const seen: string[] = [];
    let cursor: string | null = null;
    let before: string | null = null;
    do {
      const page = await groupsOf(`${list}&limit=1${cursor ? `&cursor=${cursor}` : ''}`);
      seen.push(...page.groups.map(({ fingerprint }) => fingerprint));
      cursor = page.pagination.next_cursor;
      before = page.pagination.prev_cursor;
    } while (cursor);
    expect(seen).toEqual(all);
    expect(all.length).toBeGreaterThan(1);
    const back = await groupsOf(`${list}&limit=1&cursor=${before}`);
    expect(back.groups[0]?.fingerprint).toBe(all.at(-2));
  });

  it('refuses a cursor of another filter, and a filter it cannot read', async () => {
    const { pagination } = await groupsOf('?limit=1');
    const other = await opened.call('GET', `/groups?limit=1&q=state:open&cursor=${pagination.next_cursor}`);
    expect(other).toMatchObject({ status: 400, body: { code: 'cursor_invalid' } });
    expect(await opened.call('GET', '/groups?q=stat:open')).toMatchObject({
      status: 400,
      body: { code: 'filter_invalid' },
    });
    for (const query of ['limit=0', 'limit=201', 'sort=count', 'page=1']) {
      expect(await opened.call('GET', `/groups?${query}`)).toMatchObject({
        status: 400,
        body: { code: 'validation_failed' },
      });
    }
  });
});

describe('one group', () => {
  it('is found by its fingerprint or the unique start of it, with what is known around it', async () => {
    const { plane, call } = opened;
    await plane.db.query(sql`
      insert into ops.worker (id, host, pid, version, queues) values (gen_random_uuid(), 'h', 1, '1.0.0', '{work}')`);
    const { status, body } = await call('GET', '/groups/v1_aaaaa');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      fingerprint: first,
      count: 7,
      why: { classifier: 1, error_type: 'Error', message: 'no connection', frame: 'send.ts:send' },
      deploys: [{ version: '1.0.0' }],
      notes: [],
      fixed: null,
    });
    expect((body.same_frame as { fingerprint: string }[]).map(({ fingerprint }) => fingerprint)).toEqual([
      second,
      third,
    ]);
  });

  it('is refused when there is none, when several begin so, and when it is no fingerprint', async () => {
    const { plane, call } = opened;
    expect(await call('GET', '/groups/v1_ffffffff')).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await call('GET', '/groups/v1_aaaa')).toMatchObject({ status: 400, body: { code: 'bad_id' } });
    await insertLetters(plane.db, [{ fingerprint: 'v1_aaaaaaaa00000009', hoursAgo: 50 }]);
    expect(await call('GET', '/groups/v1_aaaaaaaa')).toMatchObject({ status: 400, body: { code: 'bad_id' } });
    expect(await call('GET', `/groups/${first}`)).toMatchObject({ status: 200 });
  });
});
