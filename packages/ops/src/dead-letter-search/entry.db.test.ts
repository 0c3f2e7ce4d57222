import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { causeNames } from '../causes/index.ts';
import { causeText } from './cause-text.ts';
import { type Draft, fingerprint, openSearch, operator, type Search } from './search.fixture.ts';

let search: Search;
beforeAll(async () => {
  search = await openSearch();
});
beforeEach(() => search.clear());
afterAll(() => search.close());

async function open(draft: Draft = {}) {
  const id = await search.letter(draft);
  return { ...search, id, at: `/queues/dlq/${id}` };
}

const isoTime = expect.stringMatching(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/);
const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');

describe('one letter', () => {
  it('has the shape that is promised, and more beside it', async () => {
    const { get, at, id } = await open();
    const { statusCode, json, headers } = await get(at);
    expect(statusCode).toBe(200);
    expect(headers.etag).toBe('"1"');
    expect(json()).toEqual({
      id,
      queue_name: 'email_send',
      job_id: 'job-0',
      payload: { to: 'user@example.com', template: 'welcome' },
      error_message: 'SMTP timeout',
      stack_trace: 'Error: SMTP timeout',
      attempts: 3,
      failed_at: '2026-01-02T14:30:00.000Z',
      resolved: false,
      state: 'pending',
      source: 'queue',
      kind: 'send',
      error_type: 'Error',
      error_code: null,
      cause: 'exhausted',
      cause_text: 'Every attempt it was allowed has failed.',
      fingerprint,
      retries: 0,
      first_failed_at: '2026-01-02T14:30:00.000Z',
      captured_at: isoTime,
      correlation_id: 'journey-0001',
      causation_id: null,
      traceparent: null,
      worker_version: null,
      worker_host: null,
      assignee: null,
      ticket: null,
      synthetic: false,
      snooze: null,
      notes_count: 0,
      notes: [],
      version: 1,
      payload_text: '{"to":"user@example.com","template":"welcome"}',
      payload_encoding: 'json',
      payload_bytes: 46,
      payload_sha256: sha256('{"to":"user@example.com","template":"welcome"}'),
      payload_version: 0,
      payload_masked: null,
      payload_truncated: false,
      attempts_history: [],
      deploy: { version: null, commit: null, first_version: null, last: null },
      lineage: { original: null, retries: [], redrives: [], patches: [] },
      resolution: null,
      resolved_at: null,
      resolved_by: null,
      evidence: { state: 'complete', lacks: null },
    });
  });

  it('is audited once for each view, and not at all when it is unchanged, absent or refused', async () => {
    const { get, at, id, audits } = await open();
    await get(at);
    await get(at);
    const viewed = { action: 'dlq.entry_viewed', target_id: id, reason: null };
    const details = { part: 'entry', payload: 'clear', version: 1 };
    expect(await audits()).toEqual([
      { ...viewed, details },
      { ...viewed, details },
    ]);
    const unchanged = await get(at, { 'if-none-match': '"0", W/"1"' });
    expect([unchanged.statusCode, unchanged.body]).toEqual([304, '']);
    await get('/queues/dlq/00000000-0000-4000-8000-000000000000');
    await get(at, { authorization: 'queue.read' });
    // Beside the row that says who was refused.
    expect((await audits()).filter(({ action }) => action !== 'access.denied')).toHaveLength(2);
  });

  it('is sent again once it has changed, or when it is asked for in another form', async () => {
    const { get, at, db } = await open();
    expect((await get(`${at}?payload=masked`, { 'if-none-match': '"1"' })).statusCode).toBe(200);
    await db.query(sql`update ops.dead_letter_queue set version = 2`);
    const { statusCode, headers } = await get(at, { 'if-none-match': '"1"' });
    expect([statusCode, headers.etag]).toEqual([200, '"2"']);
  });

  it.each([
    ['42', 400, 'bad_id'],
    ['00000000-0000-4000-8000-00000000000g', 400, 'bad_id'],
    ['00000000-0000-4000-8000-000000000000', 404, 'not_found'],
  ])('called %s is answered with %i %s', async (id, status, code) => {
    const { get } = await open();
    for (const path of [`/queues/dlq/${id}`, `/queues/dlq/${id}/attempts`, `/queues/dlq/${id}/payload`]) {
      const { statusCode, json } = await get(path);
      expect([statusCode, json().code]).toEqual([status, code]);
    }
  });

  it('tells who closed it, what it lacks, and which deploy came before', async () => {
    const { get, at, db } = await open({ state: 'discarded' });
    await db.query(sql`update ops.dead_letter_queue set evidence_lacks = 'payload: it was not kept'`);
    await db.query(sql`
      insert into ops.worker (id, host, pid, version, queues, started_at)
      values (gen_random_uuid(), 'h1', 1, '1.4.0', '{}', '2026-01-02T14:00:00Z'),
             (gen_random_uuid(), 'h1', 2, '1.4.0', '{}', '2026-01-02T14:20:00Z'),
             (gen_random_uuid(), 'h1', 3, '1.5.0', '{}', '2026-01-02T15:00:00Z')`);
    expect((await get(at)).json()).toMatchObject({
      resolved: true,
      resolution: { how: 'discarded', by: 'Ana', at: isoTime, reason: 'not needed', ticket: null },
      evidence: { state: 'partial', lacks: 'payload: it was not kept' },
      deploy: { last: { version: '1.4.0', at: '2026-01-02T14:00:00.000Z', minutes_before: 30 } },
    });
  });

  it('holds its attempts, its retries with who asked for them, and its redrives', async () => {
    const { get, at, id, db } = await open();
    const history = [
      {
        attempt: 1,
        started_at: '2026-01-02T14:00:01Z',
        ended_at: '2026-01-02T14:00:02Z',
        worker: null,
        outcome: 'died',
        error: { type: 'Error', message: 'SMTP timeout', stack: 'Error', code: null },
      },
    ];
    await db.query(sql`
      insert into ops.job_run (run_key, root_key, queue, kind, generation, dlq_id, state, started, finished, max_attempts, cause,
                               enqueued_at, finished_at, died_at, attempts_history, correlation_id)
      values ('job-0', 'job-0', 'email_send', 'send', 0, null, 'dead', 1, 1, 1, 'exhausted', '2026-01-02T14:00:00Z', now(), now(),
              ${JSON.stringify(history)}, 'journey-0001'),
             (${`dlq-${id}-r1`}, 'job-0', 'email_send', 'send', 1, ${id}, 'enqueued', 0, 0, 1, null, '2026-01-02T15:00:00Z', null, null, null,
              'journey-0001')`);
    await db.query(sql`update ops.dead_letter_queue set generation = 1`);
    await db.query(sql`
      insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, reason, details, correlation_id)
      values (${operator.id}, 'Ana', 'http', 'dlq.job_retried', 'dead_letter', ${id}, 'the server is back', '{"generation":1}', 'c')`);
    const letter = (await get(at)).json();
    expect(letter.attempts_history).toEqual([
      expect.objectContaining({
        generation: 0,
        attempt: 1,
        wait_ms: 1_000,
        duration_ms: 1_000,
        outcome: 'died',
        job_id: 'job-0',
      }),
    ]);
    expect(letter.lineage).toMatchObject({
      original: { job_id: 'job-0', outcome: 'dead', cause: 'exhausted', by: null },
      retries: [{ job_id: `dlq-${id}-r1`, generation: 1, outcome: 'waiting', by: 'Ana', reason: 'the server is back' }],
    });
    expect((await get(`${at}/attempts`)).json()).toEqual({ attempts: letter.attempts_history });
  });
});

describe('the payload', () => {
  const personal =
    '{"to":"user@example.com","lead":{"first_name":"Canary","phone":"202-555-0123"},"n":9007199254740993}';
  const masked = '{"to":"[masked]","lead":{"first_name":"[masked]","phone":"[masked]"},"n":9007199254740993}';

  it.each([
    ['without the permission', { authorization: 'dlq.read' }, ''],
    ['without a fresh second factor', { 'x-factor': 'stale' }, ''],
    ['when that is asked for', {}, '?payload=masked'],
  ])('is masked %s', async (_case, headers, query) => {
    const { get, at, audits } = await open({ payload: personal });
    for (const path of [at, `${at}/payload`]) {
      const { body, json } = await get(`${path}${query}`, headers);
      expect(body).not.toMatch(/user@example|Canary|555-0123/);
      expect(json()).toMatchObject({
        payload_text: masked,
        payload_masked: ['to', 'lead.first_name', 'lead.phone'],
        payload_sha256: sha256(personal),
      });
    }
    expect((await audits()).map(({ details }) => [details.part, details.payload])).toEqual([
      ['entry', 'masked'],
      ['payload', 'masked'],
    ]);
  });

  it('is shown in clear on purpose with a reason, which is audited', async () => {
    const { get, at, audits } = await open({ payload: personal });
    const { json } = await get(`${at}?payload=clear&reason=the%20customer%20asked`);
    expect(json()).toMatchObject({ payload_text: personal, payload_masked: null });
    expect(await audits()).toMatchObject([{ reason: 'the customer asked', details: { payload: 'clear' } }]);
  });

  it.each([
    [
      'without the permission',
      { authorization: 'dlq.read' },
      'payload=clear&reason=because%20I%20can',
      403,
      'missing_permission',
    ],
    ['with a stale factor', { 'x-factor': 'stale' }, 'payload=clear&reason=because%20I%20can', 403, 'mfa_stale'],
    ['without a reason', {}, 'payload=clear', 400, 'reason_required'],
    ['with a reason that is none', {}, 'payload=clear&reason=%20%20x%20%20', 400, 'reason_required'],
  ])('is not shown in clear %s', async (_case, headers, query, status, code) => {
    const { get, at, audits } = await open({ payload: personal });
    const { statusCode, json, body } = await get(`${at}?${query}`, headers);
    expect([statusCode, json().code]).toEqual([status, code]);
    expect(body).not.toContain('Canary');
    // The refusal itself is recorded, some time after its answer.
    expect((await audits()).filter(({ action }) => action !== 'access.denied')).toEqual([]);
  });

  it('over 64 kB is cut, and whole at its own address', async () => {
    const text = JSON.stringify({ rows: Array.from({ length: 20_000 }, (_, n) => ({ n, text: 'é'.repeat(20) })) });
    expect(Buffer.byteLength(text)).toBeGreaterThan(1_000_000);
    const { get, at } = await open({ payload: text });
    const letter = (await get(at)).json();
    expect(letter).toMatchObject({ payload: null, payload_truncated: true, payload_bytes: Buffer.byteLength(text) });
    expect(letter.payload_text).toBe(text.slice(0, 65_536));
    expect((await get(`${at}/payload`)).json().payload_text).toBe(text);
  });

  it.each([
    ['a NUL', '{"a":"\\u0000"}', { a: '\u0000' }],
    ['half a surrogate pair', '{"a":"\\ud800"}', { a: '\ud800' }],
    ['a number that no double holds', '{"n":9007199254740993}', { n: 9007199254740992 }],
    ['terminal escapes', '{"a":"\\u001b[31mred"}', { a: '\u001b[31mred' }],
    ['nothing', 'null', null],
    ['what is no JSON', 'not {json', null],
  ])('with %s is shown without loss', async (_case, text, value) => {
    const { get, at } = await open({ payload: text });
    const { statusCode, json } = await get(at);
    expect(statusCode).toBe(200);
    expect(json()).toMatchObject({ payload: value, payload_text: text, payload_sha256: sha256(text) });
  });

  it('with __proto__ is shown as it is, and changes no object of ours', async () => {
    const text = '{"__proto__":{"admin":true},"constructor":{"prototype":{}}}';
    const { get, at } = await open({ payload: text });
    expect((await get(at)).body).toContain('"payload":{"__proto__":{"admin":true}');
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('of bytes is shown in base64', async () => {
    const bytes = Buffer.from([0xff, 0x00, 0xfe]);
    const { get, at } = await open({ payload: bytes });
    expect((await get(at)).json()).toMatchObject({
      payload: null,
      payload_text: '/wD+',
      payload_encoding: 'base64',
      payload_sha256: sha256(bytes),
    });
  });

  it('that was edited is the present one, and the edits are in the lineage', async () => {
    const { get, at, id, db } = await open();
    await db.query(sql`
      insert into ops.dead_letter_payload (letter_id, version, body, sha256, author, reason, changed)
      values (${id}, 1, '{"to":null}', 'abc', 'Ana', 'no such mailbox', '{/to}')`);
    await db.query(sql`update ops.dead_letter_queue set payload_version = 1`);
    expect((await get(at)).json()).toMatchObject({
      payload: { to: null },
      payload_version: 1,
      lineage: { patches: [{ version: 1, sha256: 'abc', author: 'Ana', changed: ['/to'], at: isoTime }] },
    });
  });
});

it('every cause of death has its sentence', async () => {
  for (const cause of causeNames) expect(causeText(cause)).toMatch(/^[A-Z][^"]+\.$/);
});
