import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Draft, fingerprint, openSearch, operator, type Search } from './search.fixture.ts';

let search: Search;
beforeAll(async () => {
  search = await openSearch();
});
beforeEach(() => search.clear());
afterAll(() => search.close());

async function open(drafts: readonly Draft[] = []) {
  for (const draft of drafts) await search.letter(draft);
  return search;
}

const list = '/queues/dlq';
const isoTime = expect.stringMatching(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/);

interface Entry {
  id: string;
  job_id: string;
  failed_at: string;
  attempts: number;
}

describe('the list', () => {
  it('has the shape that is promised, and more beside it', async () => {
    const { get, letter } = await open();
    const id = await letter();
    const { statusCode, json } = await get(`${list}?page=1&limit=50&queue=email_send`);
    expect(statusCode).toBe(200);
    expect(json()).toEqual({
      entries: [
        {
          id,
          queue_name: 'email_send',
          job_id: 'job-0',
          error_message: 'SMTP timeout',
          attempts: 3,
          failed_at: '2026-01-02T14:30:00.000Z',
          resolved: false,
          state: 'pending',
          source: 'queue',
          kind: 'send',
          error_type: 'Error',
          cause: 'exhausted',
          fingerprint,
          retries: 0,
          captured_at: isoTime,
          correlation_id: 'journey-0001',
          worker_version: null,
          assignee: null,
          snooze: null,
          notes_count: 0,
          version: 1,
        },
      ],
      pagination: { page: 1, limit: 50, total: 1, total_pages: 1, next_cursor: null, prev_cursor: null },
      filter: 'queue:email_send',
    });
  });

  it('hides nothing: closed letters are in it, newest failure first', async () => {
    const { get } = await open([{ age: 30, state: 'resolved' }, { age: 10 }, { age: 20, state: 'discarded' }]);
    const { entries } = (await get(list)).json();
    expect(entries.map((entry: { state: string }) => entry.state)).toEqual(['pending', 'discarded', 'resolved']);
  });

  it('writes no audit row', async () => {
    const { get, audits } = await open([{}]);
    await get(list);
    await get(`${list}?q=state:open`);
    expect(await audits()).toEqual([]);
  });

  it('accepts aliases, and names the queue nearest to one that is unknown', async () => {
    const { get } = await open([{}, { queue: 'report_export' }]);
    const aliased = (await get(`${list}?queue=email`)).json();
    expect(aliased).toMatchObject({ filter: 'queue:email_send', pagination: { total: 1 } });
    expect(aliased.warnings).toBeUndefined();
    const unknown = await get(`${list}?queue=emial_send`);
    expect(unknown.statusCode).toBe(200);
    expect(unknown.json()).toMatchObject({
      entries: [],
      pagination: { page: 1, total: 0, total_pages: 0 },
      warnings: [{ code: 'unknown_queue', name: 'emial_send', nearest: 'email_send' }],
    });
  });

  it('answers a page past the end with no entries and the total', async () => {
    const { get } = await open([{}, {}, {}]);
    const { statusCode, json } = await get(`${list}?page=9&limit=2`);
    expect(statusCode).toBe(200);
    expect(json()).toMatchObject({ entries: [], pagination: { page: 9, limit: 2, total: 3, total_pages: 2 } });
  });

  it.each([
    ['page=abc', 'validation_failed'],
    ['page=0', 'validation_failed'],
    ['page=1&page=2', 'validation_failed'],
    ['limit=0', 'validation_failed'],
    ['limit=201', 'validation_failed'],
    ['limit=1e9', 'validation_failed'],
    ['limit=1000000000', 'validation_failed'],
    ['sort=payload', 'validation_failed'],
    ['queue=', 'validation_failed'],
    ['queue=%00', 'validation_failed'],
    ['colour=red', 'validation_failed'],
    ['page=201&limit=50', 'page_too_deep'],
    ['q=stat:open', 'filter_invalid'],
    ['q=kind:%00', 'filter_invalid'],
    ['cursor=abc', 'cursor_invalid'],
    ['cursor=', 'cursor_invalid'],
  ])('refuses ?%s with 400 %s', async (query, code) => {
    const { get } = await open();
    const { statusCode, json } = await get(`${list}?${query}`);
    expect({ statusCode, error: json().error, code: json().code }).toEqual({
      statusCode: 400,
      error: 'Bad request',
      code,
    });
  });

  it('says where a filter is wrong, and what may have been meant', async () => {
    const { get } = await open();
    expect((await get(`${list}?q=state:opne`)).json().details).toMatchObject({
      at: 6,
      field: 'state',
      did_you_mean: 'open',
    });
  });

  it('asks for a session, the permission and the second factor, in this order', async () => {
    const { get } = await open();
    expect((await get(list, { authorization: 'queue.read' })).json().code).toBe('missing_permission');
    expect((await get(`${list}?page=abc`, { authorization: 'queue.read' })).statusCode).toBe(403);
    expect((await get(list, { 'x-factor': 'none' })).json().code).toBe('mfa_required');
    expect((await get(list, { 'x-factor': 'stale' })).statusCode).toBe(200);
  });
});

describe('the cursor', () => {
  const drafts = Array.from({ length: 7 }, (_, at) => ({ age: at % 3, attempts: at % 4 }));

  async function walk({ get }: Search, query: string, towards: 'next_cursor' | 'prev_cursor', from?: string) {
    const seen: Entry[][] = [];
    let cursor: string | null | undefined = from;
    for (let pages = 0; pages < 10 && cursor !== null; pages += 1) {
      const answer: { entries: Entry[]; pagination: Record<string, string | null> } = (
        await get(`${list}?${query}${cursor ? `&cursor=${cursor}` : ''}`)
      ).json();
      seen.push(answer.entries);
      cursor = answer.pagination[towards] ?? null;
    }
    return seen;
  }

  it.each(['-failed_at', 'failed_at', '-attempts'])('walks every letter once, there and back, by %s', async (sort) => {
    const opened = await open(drafts);
    const query = `limit=3&sort=${sort}`;
    const there = await walk(opened, query, 'next_cursor');
    expect(there.map((page) => page.length)).toEqual([3, 3, 1]);
    expect(new Set(there.flat().map(({ id }) => id)).size).toBe(7);
    const keys = there.flat().map((entry) => (sort === '-attempts' ? -entry.attempts : Date.parse(entry.failed_at)));
    expect(keys).toEqual(keys.toSorted((a, b) => (sort === '-failed_at' ? b - a : a - b)));
    const first = (await opened.get(`${list}?${query}`)).json().pagination.next_cursor;
    const second = (await opened.get(`${list}?${query}&cursor=${first}`)).json().pagination;
    expect(Object.keys(second)).toEqual(['limit', 'next_cursor', 'prev_cursor']);
    const back = await walk(opened, query, 'prev_cursor', second.prev_cursor);
    expect(back).toEqual([there[0]]);
  });

  it('keeps its place when letters arrive before it', async () => {
    const opened = await open(drafts);
    const { entries, pagination } = (await opened.get(`${list}?limit=3`)).json();
    await opened.letter({ age: -5 });
    const next = (await opened.get(`${list}?limit=3&cursor=${pagination.next_cursor}`)).json();
    expect(next.entries.map(({ id }: Entry) => id)).not.toContain(entries[2].id);
    expect(next.entries).toHaveLength(3);
  });

  it('tells letters apart that failed within one millisecond', async () => {
    const opened = await open(Array.from({ length: 5 }, (_, at) => ({ age: at / 1_000_000 })));
    const seen = await walk(opened, 'limit=2', 'next_cursor');
    expect(new Set(seen.flat().map(({ id }) => id)).size).toBe(5);
  });

  it('is refused with another filter, another sort, a page, or a letter changed', async () => {
    const { get } = await open(drafts);
    const cursor: string = (await get(`${list}?limit=2&q=state:open`)).json().pagination.next_cursor;
    const flipped = cursor.slice(0, -1) + (cursor.endsWith('A') ? 'B' : 'A');
    const body = Buffer.from(cursor.split('.')[0] ?? '', 'base64url').toString();
    const forged = `${Buffer.from(body.replace('next', 'prev')).toString('base64url')}.${cursor.split('.')[1]}`;
    for (const query of [
      `cursor=${cursor}`,
      `q=state:closed&cursor=${cursor}`,
      `q=state:open&sort=failed_at&cursor=${cursor}`,
      `q=state:open&page=2&cursor=${cursor}`,
      `q=state:open&cursor=${flipped}`,
      `q=state:open&cursor=${forged}`,
    ]) {
      const { statusCode, json } = await get(`${list}?limit=2&${query}`);
      expect([statusCode, json().code]).toEqual([400, 'cursor_invalid']);
    }
    expect((await get(`${list}?limit=2&q=state%3Aopen&cursor=${cursor}`)).statusCode).toBe(200);
  });

  it('accepts the same filter however it is written, and keeps the meaning of its ages', async () => {
    const { get, letter } = await open();
    for (let at = 0; at < 4; at += 1) await letter({ age: at });
    const { pagination } = (await get(`${list}?limit=2&q=${encodeURIComponent('age:>1s state:open')}`)).json();
    const next = await get(
      `${list}?limit=2&q=${encodeURIComponent('state:open  age:>1s')}&cursor=${pagination.next_cursor}`,
    );
    expect(next.json().entries).toHaveLength(2);
  });
});

describe('a filter', () => {
  const drafts: Draft[] = [
    { age: 1, error: 'TypeError', version: '1.10.0', message: 'user 100% gone', payload: '{"user":{"id":42},"n":7}' },
    { age: 2, state: 'snoozed', version: '1.9.0', assignee: operator.id, payload: '{"user":{"id":"42"},"n":12}' },
    { age: 3, state: 'resolved', version: '1.10.0-rc.1', fingerprint: 'v1_beefbeef00000002', queue: 'report_export' },
    { age: 4, state: 'retrying', correlation: 'journey-0002', payload: '{"to":null,"at":"2026-01-05"}', attempts: 9 },
    { age: 5, state: 'discarded', message: 'ETIMEDOUT', payload: Buffer.from([0xff]) },
  ];

  it.each([
    ['', '0 1 2 3 4'],
    ['state:open', '0 1 3'],
    ['-state:open', '2 4'],
    ['state:closed,snoozed', '1 2 4'],
    ['state:open -state:snoozed', '0 3'],
    ['state:open state:closed', ''],
    ['queue:report-export', '2'],
    ['queue:email,report_export', '0 1 2 3 4'],
    ['-queue:email', '2'],
    ['queue:email queue:report_export', ''],
    ['queue:identity,identity.dlq,email_send', '0 1 3 4'],
    ['source:queue', '0 1 2 3 4'],
    ['stream:identity', ''],
    ['error:TypeError', '0'],
    ['error:~type', '0'],
    ['timeout', '1 2 3'],
    ['etimedout', '4'],
    ['-timeout', '0 4'],
    ['"100%"', '0'],
    ['fp:beefbeef', '2'],
    ['fp:v1_beefbeef', '2'],
    ['fp:v1_beefbeef00000002,9c41d0aa', '0 1 2 3 4'],
    ['fp:9c41d0aa,v1_9c41d0aa,v1_9c41d0aa00000001', '0 1 3 4'],
    ['fp:12345678', ''],
    ['version:>=1.10.0', '0'],
    ['version:<1.10.0', '1 2'],
    ['version:none', '3 4'],
    ['-version:1.9.0', '0 2 3 4'],
    ['attempts:>3', '3'],
    ['retries:0', '0 1 2 3 4'],
    ['size:<=10b', '4'],
    ['assignee:me', '1'],
    ['assignee:none', '0 2 3 4'],
    ['note:*', ''],
    ['failed:>=2026-01-02T14:29:58Z', '0 1'],
    ['age:>1s', '0 1 2 3 4'],
    ['age:<1s', ''],
    ['payload.user.id:42', '0 1'],
    ['payload.n:>7', '1'],
    ['payload.at:>2026-01-04', '3'],
    ['payload.to:none', '0 1 3 4'],
    ['payload.to:~EXAMPLE', '2'],
    ['correlation:journey-0002', '3'],
    ['job:job-3', '3'],
    ['-job:job-3', '0 1 2 4'],
    ['incident:x', ''],
    ['redrive:00000000-0000-4000-8000-000000000000', ''],
    ['cause:exhausted kind:send host:none', '0 1 2 3 4'],
    ["message:~'; drop table ops.dead_letter_queue; --", ''],
  ])('%j selects %j', async (q, expected) => {
    const { get } = await open(drafts);
    const { statusCode, json } = await get(`${list}?q=${encodeURIComponent(q)}`);
    expect(statusCode).toBe(200);
    const numbers = json().entries.map(({ job_id }: Entry) => job_id.replace('job-', ''));
    expect(numbers.join(' ')).toBe(expected);
  });

  it('that searches says how far it looked', async () => {
    const { get } = await open(drafts);
    expect((await get(`${list}?q=timeout`)).json().search).toEqual({ bounded: false, oldest_searched: null });
    expect((await get(`${list}?q=state:open`)).json().search).toBeUndefined();
  });
});
