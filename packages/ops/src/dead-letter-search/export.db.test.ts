import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { type Draft, openSearch, type Search } from './search.fixture.ts';

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

const at = '/queues/dlq/export';

describe('an export', () => {
  it('is a CSV file of what the filter selects, newest first, and says beforehand how many rows follow', async () => {
    const { get } = await open([{ age: 2 }, { age: 1, queue: 'report_export' }, { age: 0, state: 'resolved' }]);
    const { statusCode, headers, body } = await get(`${at}?q=state:open&columns=job_id,queue_name,failed_at,resolved`);
    expect(statusCode).toBe(200);
    expect(headers).toMatchObject({ 'content-type': 'text/csv; charset=utf-8', 'x-rows': '2' });
    expect(body).toBe(
      'job_id,queue_name,failed_at,resolved\r\n' +
        'job-1,report_export,2026-01-02T14:29:59.000Z,false\r\n' +
        'job-0,email_send,2026-01-02T14:29:58.000Z,false\r\n',
    );
  });

  it('is audited with filter, columns and count before its first row leaves', async () => {
    const { get, audits } = await open([{}]);
    await get(`${at}?queue=email&format=ndjson&columns=id`);
    expect(await audits()).toMatchObject([
      { action: 'dlq.exported', details: { filter: 'queue:email_send', columns: ['id'], format: 'ndjson', rows: 1 } },
    ]);
  });

  it('walks thousands of letters once each', async () => {
    const { get, db } = await open();
    await db.query(sql`
      insert into ops.dead_letter_queue (queue_name, kind, job_id, root_key, cause, error_type, error_message, fingerprint, attempts,
                                         failed_at, first_failed_at, correlation_id)
      select 'email_send', 'send', 'job-' || n, 'job-' || n, 'exhausted', 'Error', 'x', 'v1_' || n % 3, 1,
             now() - n / 7 * interval '1 s', now(), 'c'
      from generate_series(1, 2500) n`);
    const lines = (await get(`${at}?format=ndjson&columns=job_id&q=fp:v1_0,v1_1,v1_2`)).body.trimEnd().split('\n');
    expect(lines).toHaveLength(2_500);
    expect(new Set(lines).size).toBe(2_500);
  });

  it('makes no cell a formula', async () => {
    const { get } = await open([
      { message: '=HYPERLINK("http://x")' },
      { message: '+1', age: 1 },
      { message: '@a\n-b', age: 2 },
    ]);
    const { body } = await get(`${at}?columns=error_message`);
    expect(body).toBe(`error_message\r\n"'=HYPERLINK(""http://x"")"\r\n'+1\r\n"'@a\n'-b"\r\n`);
  });

  it('gives payloads letter by letter, one JSON value in a line', async () => {
    const payloads = [
      '{"n":9007199254740993}',
      '{"__proto__":{"a":1}}',
      '{"a":"\\u0000\\ud800"}',
      '{\n  "pretty": true\r\n}',
      'not {json',
    ];
    const { get } = await open([
      ...payloads.map((payload, age) => ({ payload, age })),
      { payload: Buffer.from([255]), age: 9 },
    ]);
    const { body } = await get(`${at}?format=ndjson&columns=payload`);
    expect(body.trimEnd().split('\n')).toEqual([
      '{"payload":{"n":9007199254740993}}',
      '{"payload":{"__proto__":{"a":1}}}',
      '{"payload":{"a":"\\u0000\\ud800"}}',
      '{"payload":{   "pretty": true  }}',
      '{"payload":"not {json"}',
      '{"payload":"/w=="}',
    ]);
  });

  it.each([
    [
      'of payloads without the permission to see them',
      'columns=payload',
      { authorization: 'dlq.read dlq.export' },
      403,
      'missing_permission',
    ],
    ['of payloads with a stale factor', 'columns=payload', { 'x-factor': 'stale' }, 403, 'mfa_stale'],
    ['without the permission', '', { authorization: 'dlq.read' }, 403, 'missing_permission'],
    ['of an unknown column', 'columns=id,colour', {}, 400, 'validation_failed'],
    ['in an unknown format', 'format=xlsx', {}, 400, 'validation_failed'],
    ['of a wrong filter', 'q=state:opne', {}, 400, 'filter_invalid'],
  ])('%s is refused', async (_case, query, headers, status, code) => {
    const { get, audits } = await open([{}]);
    const { statusCode, json } = await get(`${at}?${query}`, headers);
    expect([statusCode, json().code]).toEqual([status, code]);
    // The denial is audited, sooner or later than this looks; an export is not.
    expect((await audits()).filter(({ action }) => action !== 'access.denied')).toEqual([]);
  });
});
