import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openKeys } from '../../keys.ts';
import { openTestServer } from '../../testing/http.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { publicLeadRoutes } from './index.ts';

let world: TestWorld;
let app: FastifyInstance;
let niche: { id: string; slug: string };
/** Of the caller: each test has its own, so that none has many leads. */
let ip: string;
let callers = 0;

beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());

beforeEach(async () => {
  callers += 1;
  ip = `198.51.100.${callers}`;
  world.lines.length = 0;
  niche = await makeNiche();
  // A directory of niches that has not read yet: it keeps what it read for two seconds.
  app = await openApp();
});
afterEach(() => app.close());

const fields = [
  { name: 'what', label: 'What is it about?', type: 'text', required: true, max_length: 200 },
  { name: 'rooms', label: 'Rooms', type: 'number', required: false, min: 1, max: 50 },
];
const makeNiche = (status: 'active' | 'paused' = 'active') => world.make.niche({ formSchema: { fields }, status });
const openApp = () =>
  openTestServer(world.log, {
    routes: (routes) => publicLeadRoutes(routes, { ...world, keys: openKeys({ tokenKey: '5a'.repeat(32) }) }),
  });
const loggedEvents = () => world.lines.map((line) => JSON.parse(line)).filter((line) => line.event !== 'http_request');

const person = { name: 'Jane Canary', email: 'jane.canary@example.com', phone: '(415) 555-0123' };
const submission = () => ({
  niche: niche.slug,
  ...person,
  postcode: '94107',
  form: { what: 'A new roof', rooms: 3 },
  consent: { version: 1 },
  source: 'ads',
});

const submit = (payload: unknown, headers: Record<string, string> = {}) =>
  app.inject({
    method: 'POST',
    url: '/leads',
    remoteAddress: ip,
    headers: { 'content-type': 'application/json', ...headers },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  });

async function countsOf(db: TestWorld['db']) {
  const { rows } = await db.query(sql`
    select (select count(*)::int from lead) as leads, (select count(*)::int from lead_consent) as consents,
           (select count(*)::int from email) as mails, (select count(*)::int from ops.job_run) as runs,
           (select count(*)::int from ops.job_outbox) as jobs, (select count(*)::int from ops.event_outbox) as events`);
  return rows[0] as Record<'leads' | 'consents' | 'mails' | 'runs' | 'jobs' | 'events', number>;
}

const one = { leads: 1, consents: 1, mails: 1, runs: 1, jobs: 1, events: 1 };
const plus = (before: Record<string, number>, more: Record<string, number>) =>
  Object.fromEntries(Object.entries(before).map(([name, count]) => [name, count + (more[name] ?? 0)]));

describe('a submitted lead', () => {
  it('is stored with its consent, its mail, the job of the mail and its event', async () => {
    const before = await countsOf(world.db);
    const counted = world.metrics.counts.leadsSubmitted ?? 0;
    const answer = await submit(submission(), { 'user-agent': 'browser', referer: 'https://forms.example.com/roof' });
    expect(answer.statusCode).toBe(202);
    const { id, status } = answer.json<{ id: string; status: string }>();
    expect(status).toBe('pending_confirmation');
    expect(await countsOf(world.db)).toEqual(plus(before, one));
    expect(world.metrics.counts.leadsSubmitted).toBe(counted + 1);

    const correlation = answer.headers['x-correlation-id'];
    const { rows } = await world.db.query(sql`
      select l.*, c.text_version, c.page_url, c.user_agent from lead l join lead_consent c on c.lead_id = l.id where l.id = ${id}`);
    expect(rows[0]).toMatchObject({
      niche_id: niche.id,
      status: 'pending_confirmation',
      phone_e164: '+14155550123',
      email_norm: person.email,
      area_codes: ['*', 'US', 'US-CA', 'US-941'],
      form: { what: 'A new roof', rooms: 3 },
      source: 'ads',
      version: 1,
      correlation_id: correlation,
      text_version: 1,
      page_url: 'https://forms.example.com/roof',
      user_agent: 'browser',
      risk_flags: [],
      duplicate_of: null,
      is_test: false,
    });
    const mails = await world.db.query(sql`
      select e.template, e.to_address, e.status, e.variables, r.priority, r.queue, r.correlation_id
      from email e join ops.job_run r on r.run_key = 'email-' || e.id where e.related_id = ${id}`);
    expect(mails.rows).toEqual([
      {
        template: 'lead_confirm',
        to_address: person.email,
        status: 'queued',
        priority: 0,
        queue: 'email_send',
        variables: { lead_id: id, nonce: 1, niche_name: 'Roofing' },
        correlation_id: correlation,
      },
    ]);
    const events = await world.db.query(
      sql`select type, aggregate_version, payload, correlation_id from ops.event_outbox where aggregate_id = ${id}`,
    );
    const payload = { lead_id: id, niche_id: niche.id, duplicate: false, is_test: false };
    expect(events.rows).toEqual([
      { type: 'lead.submitted', aggregate_version: 1, payload, correlation_id: correlation },
    ]);
    expect(loggedEvents()).toMatchObject([
      {
        event: 'lead_submitted',
        correlation_id: correlation,
        metadata: { lead_id: id, niche_id: niche.id, duplicate: false },
      },
    ]);
  });

  it('needs neither a phone, a postcode nor a source, and is taken in while its niche does not sell', async () => {
    const paused = await makeNiche('paused');
    const { niche: _niche, phone: _phone, postcode: _postcode, source: _source, ...rest } = submission();
    expect((await submit({ niche: paused.slug, ...rest })).statusCode).toBe(202);
  });

  it('leaves nothing of the person in logs, events, jobs and the variables of its mail', async () => {
    await submit(submission());
    const { rows } = await world.db.query<{ text: string }>(sql`
      select (select coalesce(string_agg(e::text, ''), '') from ops.event_outbox e)
          || (select coalesce(string_agg(j::text, ''), '') from ops.job_outbox j)
          || (select coalesce(string_agg(r::text, ''), '') from ops.job_run r)
          || (select coalesce(string_agg(variables::text, ''), '') from email) as text`);
    for (const text of [rows[0]?.text ?? '', world.lines.join()])
      expect(text).not.toMatch(/canary|Jane|4155550123|555-0123/i);
  });

  it('is a duplicate when the niche knows its address or its phone, and is taken all the same', async () => {
    const first = (await submit(submission())).json<{ id: string }>();
    const sameMail = await submit({ ...submission(), phone: undefined, email: person.email.toUpperCase() });
    const samePhone = await submit({ ...submission(), email: 'someone.else@example.com' });
    const other = await submit({ ...submission(), email: 'third@example.com', phone: '+1 415 555 0199' });
    const ids = [sameMail, samePhone, other].map((answer) => answer.json<{ id: string }>().id);
    const { rows } = await world.db.query(sql`
      select l.duplicate_of is not null as duplicate, l.risk_flags, e.payload ->> 'duplicate' as told
      from lead l join ops.event_outbox e on e.aggregate_id = l.id::text
      where l.id = any(${ids}::uuid[]) order by l.created_at`);
    expect(rows).toEqual([
      { duplicate: true, risk_flags: ['duplicate'], told: 'true' },
      { duplicate: true, risk_flags: ['duplicate'], told: 'true' },
      { duplicate: false, risk_flags: [], told: 'false' },
    ]);
    const { rows: linked } = await world.db.query(sql`select 1 from lead where duplicate_of = ${first.id}`);
    expect(linked.length).toBeGreaterThanOrEqual(1);
  });

  it('is no duplicate of a lead of another niche, or of one older than the niche cares for', async () => {
    await world.make.lead({
      nicheId: niche.id,
      email: person.email,
      createdAt: new Date(Date.now() - 31 * 86_400_000),
    });
    const elsewhere = await makeNiche();
    await world.make.lead({ nicheId: elsewhere.id, email: person.email });
    const { id } = (await submit(submission())).json<{ id: string }>();
    expect((await world.db.query(sql`select duplicate_of from lead where id = ${id}`)).rows).toEqual([
      { duplicate_of: null },
    ]);
  });

  it('is flagged for a disposable address, and from the fifth of one network address in an hour on', async () => {
    const flags: unknown[] = [];
    for (let at = 1; at <= 6; at += 1) {
      const email = at === 6 ? 'x@mailinator.com' : `p${at}@example.com`;
      const { id } = (await submit({ ...submission(), email, phone: undefined })).json<{ id: string }>();
      flags.push(
        (await world.db.query<{ risk_flags: string[] }>(sql`select risk_flags from lead where id = ${id}`)).rows[0]
          ?.risk_flags,
      );
    }
    expect(flags).toEqual([[], [], [], [], ['ip_many'], ['disposable', 'ip_many']]);
  });

  it('that a machine filled in is answered like any other and stored nowhere', async () => {
    const before = await countsOf(world.db);
    const answer = await submit({ ...submission(), website: 'http://spam.example' });
    expect(answer.statusCode).toBe(202);
    expect(answer.json()).toEqual({ id: expect.stringMatching(/^[0-9a-f-]{36}$/), status: 'pending_confirmation' });
    expect(await countsOf(world.db)).toEqual(before);
    const ask = async (key: string) =>
      (await submit({ ...submission(), website: 'x' }, { 'idempotency-key': key })).json<{ id: string }>().id;
    expect(await ask('the-first-key')).toBe(await ask('the-first-key'));
    expect(await ask('the-first-key')).not.toBe(await ask('another-key'));
    expect(await ask('the-first-key')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('may be of a niche or a consent text made a moment ago', async () => {
    expect((await submit(submission())).statusCode).toBe(202);
    niche = await makeNiche();
    expect((await submit(submission())).statusCode).toBe(202);
    await world.db.query(sql`update niche set consent_version = 2 where id = ${niche.id}`);
    // What is new is looked for ten times a second at most.
    await vi.waitFor(async () =>
      expect((await submit({ ...submission(), consent: { version: 2 } })).statusCode).toBe(202),
    );
  });
});

describe('an Idempotency-Key', () => {
  const key = () => randomUUID();

  it('gives a repeat the first answer, and the niche one lead', async () => {
    const headers = { 'idempotency-key': key() };
    const first = await submit(submission(), headers);
    const stored = await countsOf(world.db);
    const again = await submit(submission(), headers);
    expect(again.statusCode).toBe(202);
    expect(again.body).toBe(first.body);
    expect([first.headers['idempotency-replayed'], again.headers['idempotency-replayed']]).toEqual([undefined, 'true']);
    expect(await countsOf(world.db)).toEqual(stored);
  });

  it('with another body is refused', async () => {
    const headers = { 'idempotency-key': key() };
    await submit(submission(), headers);
    const stored = await countsOf(world.db);
    const other = await submit({ ...submission(), name: 'John' }, headers);
    expect(other.statusCode).toBe(422);
    expect(other.json()).toMatchObject({ code: 'idempotency_key_reused' });
    expect(await countsOf(world.db)).toEqual(stored);
  });

  it('lets one of twenty racing twins win', async () => {
    const headers = { 'idempotency-key': key() };
    const before = await countsOf(world.db);
    const answers = await Promise.all(Array.from({ length: 20 }, () => submit(submission(), headers)));
    expect(new Set(answers.map((answer) => answer.statusCode))).toEqual(new Set([202]));
    expect(new Set(answers.map((answer) => answer.body)).size).toBe(1);
    expect(answers.filter((answer) => answer.headers['idempotency-replayed'] === undefined)).toHaveLength(1);
    expect(await countsOf(world.db)).toEqual(plus(before, one));
  });

  it('still answers when the consent text has changed since', async () => {
    const headers = { 'idempotency-key': key() };
    const first = await submit(submission(), headers);
    await world.db.query(sql`update niche set consent_version = 2 where id = ${niche.id}`);
    const fresh = await openApp();
    const again = await fresh.inject({ method: 'POST', url: '/leads', headers, payload: submission() });
    expect([again.statusCode, again.body]).toEqual([202, first.body]);
    const late = await fresh.inject({ method: 'POST', url: '/leads', payload: submission() });
    expect(late.statusCode).toBe(409);
    expect(late.json()).toMatchObject({ code: 'consent_outdated', details: { version: 2 } });
    await fresh.close();
  });

  it('of the wrong form is refused', async () => {
    expect((await submit(submission(), { 'idempotency-key': 'a b' })).statusCode).toBe(400);
  });
});

describe('bad input', () => {
  const json = (change: (body: Record<string, unknown>) => unknown) => () => JSON.stringify(change(submission()));
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  const cases: [string, number, () => string, RegExp?][] = [
    ['no consent', 400, json(({ consent: _consent, ...body }) => body), /is required: \{ version \}/],
    ['an address without @', 400, json((body) => ({ ...body, email: 'jane' })), /such as name@example.com/],
    ['an unknown niche', 400, json((body) => ({ ...body, niche: 'no-such' })), /must be one of: .*niche-/],
    ['a bad e-mail address', 400, json((body) => ({ ...body, email: 'jane.canary@' })), /body\.email/],
    [
      'an address with a line end',
      400,
      json((body) => ({ ...body, email: 'jane.canary@example.com\r\nBcc: x@example.com' })),
      /body\.email/,
    ],
    ['a bad phone number', 400, json((body) => ({ ...body, phone: '12345' })), /must be a phone number/],
    ['a bad postcode', 400, json((body) => ({ ...body, postcode: '-9410' })), /ZIP/],
    ['no consent', 400, json(({ consent: _consent, ...body }) => body), /body\.consent/],
    ['an outdated consent', 409, json((body) => ({ ...body, consent: { version: 7 } })), /consent_outdated/],
    ['a negative version', 400, json((body) => ({ ...body, consent: { version: -1 } }))],
    ['a body of 1 MB', 413, json((body) => ({ ...body, name: 'x'.repeat(1 << 20) })), /too_large.*65536/],
    ['a body of 65 KB', 413, json((body) => ({ ...body, name: 'x'.repeat(65 << 10) }))],
    ['JSON that nests 500 deep', 400, () => nested(500)],
    ['a form that nests 500 deep', 400, () => JSON.stringify({ ...submission(), form: JSON.parse(nested(500)) })],
    ['brackets that nest 30,000 deep', 400, () => '['.repeat(30_000)],
    ['NUL in a name', 400, json((body) => ({ ...body, name: 'Jane\u0000Canary' }))],
    ['NUL in a form', 400, json((body) => ({ ...body, form: { what: 'a\u0000b' } })), /body\.form\.what/],
    ['half a surrogate pair in a name', 400, () => JSON.stringify(submission()).replace('Jane', String.raw`\ud800`)],
    ['half a surrogate pair in a form', 400, json((body) => ({ ...body, form: { what: '\ud800' } }))],
    ['a __proto__ key', 400, () => JSON.stringify(submission()).replace('{', '{"__proto__":{"admin":true},')],
    ['a constructor key', 400, () => JSON.stringify(submission()).replace('{', '{"constructor":{"prototype":{}},')],
    [
      'a __proto__ key in the form',
      400,
      () => JSON.stringify(submission()).replace('"form":{', '"form":{"__proto__":{},'),
    ],
    ['a name that is a number', 400, json((body) => ({ ...body, name: 7 }))],
    ['a form that is a list', 400, json((body) => ({ ...body, form: [] }))],
    ['a body that is a list', 400, () => '[]'],
    ['a body that is null', 400, () => 'null'],
    ['no body', 400, () => ''],
    ['half of a body', 400, () => '{"niche":'],
    [
      'a negative number in the form',
      400,
      json((body) => ({ ...body, form: { what: 'x', rooms: -3 } })),
      /from 1 up to 50/,
    ],
    ['an unknown field', 400, json((body) => ({ ...body, is_test: true }))],
    ['an unknown field of the form', 400, json((body) => ({ ...body, form: { what: 'x', other: 1 } })), /what, rooms/],
    ['an unknown field of utm', 400, json((body) => ({ ...body, utm: { other: 'x' } }))],
    ['a name of two lines', 400, json((body) => ({ ...body, name: 'Jane\r\nCanary' }))],
    ['a name that is blank', 400, json((body) => ({ ...body, name: '   ' }))],
    ['a name that is too long', 400, json((body) => ({ ...body, name: 'x'.repeat(121) }))],
  ];

  it.each(cases)(
    '%s is answered %i: nothing is stored, nothing of the person logged',
    async (_what, status, body, says) => {
      const before = await countsOf(world.db);
      const answer = await submit(body());
      expect(answer.statusCode).toBe(status);
      expect(answer.json()).toMatchObject({
        error: expect.any(String),
        code: expect.any(String),
        details: expect.any(Object),
      });
      if (says) expect(answer.body).toMatch(says);
      expect(answer.body).not.toMatch(/canary/i);
      expect(await countsOf(world.db)).toEqual(before);
      expect(world.lines.join()).not.toMatch(/canary|Jane|555-0123/i);
      expect(loggedEvents()).toEqual([]);
      expect((await submit(submission())).statusCode).toBe(202);
    },
  );

  it.each(['text/plain', 'application/xml', 'application/x-www-form-urlencoded'])(
    'of type %s is answered 415',
    async (type) => {
      const before = await countsOf(world.db);
      const answer = await submit(submission(), { 'content-type': type });
      expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([415, 'media_type']);
      expect(await countsOf(world.db)).toEqual(before);
    },
  );
});
