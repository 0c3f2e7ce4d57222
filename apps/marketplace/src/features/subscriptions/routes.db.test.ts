import { sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { openTestWorld } from '../../testing/world.ts';
import { openPasswords } from '../auth/index.ts';
import { subscriptionRoutes } from './index.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;
let app: FastifyInstance;
let provider: { id: string; userId: string };
const requeued: string[] = [];
const thresholds: (number | null)[] = [];
const admin = signedInAs('00000000-0000-4000-8000-000000000001', 'admin');
const nobody = '00000000-0000-4000-8000-000000000000';

beforeAll(async () => {
  world = await openTestWorld();
  const deps = {
    db: world.db,
    log: world.log,
    passwords: openPasswords({ memoryKib: 64, passes: 1 }),
    requeueApproved: async (_tx: unknown, nicheId: string) => requeued.push(nicheId),
    now: () => new Date(),
    endAccess: async () => ({ sessions: 0, tokens: 0 }),
    setLowBalance: async (_tx: unknown, _providerId: string, cents: number | null) => thresholds.push(cents),
  };
  app = await openTestServer(world.log, { routes: (server) => subscriptionRoutes(server, deps) });
});
afterAll(async () => {
  await app?.close();
  await world?.close();
});
beforeEach(async () => {
  provider = await world.make.provider();
});

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';
async function send(method: Method, url: string, headers: Record<string, string>, payload?: object) {
  const answer = await app.inject({ method, url, headers, ...(payload && { payload }) });
  return { status: answer.statusCode, body: answer.body === '' ? undefined : answer.json(), headers: answer.headers };
}
const asProvider = (method: Method, url: string, payload?: object) =>
  send(method, `/provider/${url}`, signedInAs(provider.userId, 'provider'), payload);
const asAdmin = (method: Method, url: string, payload?: object, more: Record<string, string> = {}) =>
  send(method, `/admin/${url}`, { ...admin, ...more }, payload);

let slugs = 0;
const nextSlug = () => `roofing-${(slugs += 1)}`;
const fields = [{ name: 'rooms', label: 'Rooms', type: 'number', required: true }];

async function catalogue() {
  const { body: niche } = await asAdmin('POST', 'niches', {
    slug: nextSlug(),
    name: 'Roofing',
    form_schema: { fields },
  });
  const draft = { niche_id: niche.id, name: 'Standard', ord: 1, price_cents: 1500, max_recipients: 5 };
  const { body: level } = await asAdmin('POST', 'levels', draft);
  return { niche, level };
}

describe('access', () => {
  it('keeps providers out of the staff side, and staff out of the portal', async () => {
    expect((await send('GET', '/admin/niches', signedInAs(provider.userId, 'provider'))).status).toBe(403);
    expect((await send('GET', '/provider/me', admin)).status).toBe(403);
    expect((await send('GET', '/provider/me', {})).status).toBe(401);
  });
});

describe('the catalogue', () => {
  it('shows a niche and its form to everyone', async () => {
    const { niche } = await catalogue();
    const form = await send('GET', `/niches/${niche.slug}/form`, {});
    expect(form).toMatchObject({ status: 200, body: { slug: niche.slug, fields, consent: { version: 1 } } });
    expect(form.body.consent.text.length).toBeGreaterThan(20);
    expect((await send('GET', '/niches?limit=200', {})).body.items).toContainEqual({
      slug: niche.slug,
      name: 'Roofing',
    });
    expect((await send('GET', '/niches/nowhere/form', {})).status).toBe(404);
  });

  it('hides a paused niche from the list, not its form', async () => {
    const { niche } = await catalogue();
    await asAdmin('PATCH', `niches/${niche.id}`, { status: 'paused' });
    const { items } = (await send('GET', '/niches?limit=200', {})).body;
    expect(items.map((each: { slug: string }) => each.slug)).not.toContain(niche.slug);
    expect((await send('GET', `/niches/${niche.slug}/form`, {})).status).toBe(200);
  });

  it('pages through niches and levels in order, each once', async () => {
    for (let made = 0; made < 3; made += 1) await catalogue();
    for (const list of ['niches', 'levels']) {
      const whole = (await asAdmin('GET', `${list}?limit=200`)).body.items;
      const paged = [];
      let cursor = '';
      do {
        const { body } = await asAdmin('GET', `${list}?limit=2${cursor && `&cursor=${cursor}`}`);
        paged.push(...body.items);
        cursor = body.pagination.next_cursor ?? '';
      } while (cursor !== '');
      expect(paged).toEqual(whole);
    }
    expect((await asAdmin('GET', 'levels?cursor=nonsense')).status).toBe(400);
    expect((await asAdmin('GET', 'levels?limit=1000')).status).toBe(400);
  });

  it('gives a new consent text the next version', async () => {
    const { niche } = await catalogue();
    const consent_text = 'I agree to be called about my roof, at any hour.';
    expect((await asAdmin('PATCH', `niches/${niche.id}`, { consent_text })).body).toMatchObject({
      consent_version: 2,
      version: 2,
    });
    expect((await asAdmin('PATCH', `niches/${niche.id}`, { consent_text })).body).toMatchObject({
      consent_version: 2,
      version: 3,
    });
  });

  it('queues the approved leads again when a niche resumes, and only then', async () => {
    const { niche } = await catalogue();
    await asAdmin('PATCH', `niches/${niche.id}`, { status: 'paused' });
    await asAdmin('PATCH', `niches/${niche.id}`, { name: 'Roofs' });
    expect(requeued).not.toContain(niche.id);
    await asAdmin('PATCH', `niches/${niche.id}`, { status: 'active' });
    expect(requeued.filter((id) => id === niche.id)).toHaveLength(1);
  });

  it('lets a form grow only', async () => {
    const { niche } = await catalogue();
    const more = { fields: [...fields, { name: 'owner', label: 'Owner?', type: 'boolean', required: false }] };
    expect((await asAdmin('PATCH', `niches/${niche.id}`, { form_schema: more })).body.form_schema).toEqual(more);
    const answer = await asAdmin('PATCH', `niches/${niche.id}`, { form_schema: { fields } });
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    expect(answer.body.details.faults[0].message).toContain('owner');
  });

  it('refuses what is taken, and says which field', async () => {
    const { niche, level } = await catalogue();
    const again = { slug: niche.slug, name: 'Again' };
    expect(await asAdmin('POST', 'niches', again)).toMatchObject({
      status: 409,
      body: { code: 'already_exists', details: { field: 'slug' } },
    });
    const draft = { niche_id: niche.id, name: 'Select', ord: 1, price_cents: 2800, max_recipients: 3 };
    expect((await asAdmin('POST', 'levels', draft)).body.details).toEqual({ field: 'ord' });
    expect((await asAdmin('POST', 'levels', { ...draft, ord: 2, name: 'Standard' })).body.details).toEqual({
      field: 'name',
    });
    const { body: second } = await asAdmin('POST', 'levels', { ...draft, ord: 2 });
    expect((await asAdmin('PATCH', `levels/${second.id}`, { ord: 1 })).body.code).toBe('already_exists');
    expect((await asAdmin('PATCH', `levels/${level.id}`, { max_recipients: 4 })).body).toMatchObject({
      max_recipients: 4,
      version: 2,
    });
  });

  it.each([
    ['a price', { price_cents: 100 }],
    ['too many recipients', { max_recipients: 21 }],
    ['a name with NUL', { name: 'a\u0000' }],
    ['a wrong type', { ord: '1' }],
  ])('refuses to give a level %s', async (_what, change) => {
    const { level } = await catalogue();
    expect(await asAdmin('PATCH', `levels/${level.id}`, change)).toMatchObject({
      status: 400,
      body: { code: 'validation_failed' },
    });
  });

  it('knows versions and ids', async () => {
    const { niche, level } = await catalogue();
    expect((await asAdmin('PATCH', `niches/${niche.id}`, { name: 'X', expected_version: 5 })).body).toMatchObject({
      code: 'version_changed',
      details: { version: 1 },
    });
    expect((await asAdmin('PATCH', `levels/${level.id}`, { name: 'X', expected_version: 5 })).body.code).toBe(
      'version_changed',
    );
    expect((await asAdmin('PATCH', `niches/${nobody}`, { name: 'X' })).status).toBe(404);
    expect((await asAdmin('PATCH', `levels/${nobody}`, { name: 'X' })).status).toBe(404);
    expect((await asAdmin('PATCH', 'levels/7', { name: 'X' })).status).toBe(400);
    expect(
      (await asAdmin('POST', 'levels', { niche_id: nobody, name: 'X', ord: 1, price_cents: 50, max_recipients: 1 }))
        .status,
    ).toBe(404);
  });

  it('is audited', async () => {
    const { niche } = await catalogue();
    await asAdmin('PATCH', `niches/${niche.id}`, { status: 'paused' });
    const { rows } = await world.db.query(
      sql`select action from ops.audit_log where target_id = ${niche.id} order by seq`,
    );
    expect(rows).toEqual([{ action: 'niche.created' }, { action: 'niche.changed' }]);
  });
});

describe('a provider', () => {
  it('made by staff is active and verified, once for each key and each address', async () => {
    const payload = {
      email: 'Made@Example.com',
      password: 'tangerine-lamp-42',
      company: 'Made Roofing',
      tz: 'America/Denver',
    };
    const create = (key: string, change: object = {}) =>
      asAdmin('POST', 'providers', { ...payload, ...change }, { 'idempotency-key': key });
    expect((await asAdmin('POST', 'providers', payload)).body.code).toBe('idempotency_key_required');
    const made = await create('made-0001');
    expect(made).toMatchObject({
      status: 201,
      body: { status: 'active', email: 'Made@Example.com', tz: 'America/Denver', balance_cents: 0 },
    });
    const again = await create('made-0001');
    expect([again.body, again.headers['idempotency-replayed']]).toEqual([made.body, 'true']);
    expect((await create('made-0001', { company: 'Other' })).status).toBe(422);
    expect((await create('made-0002', { email: 'made@example.com' })).body.code).toBe('email_taken');
    expect((await create('made-0003', { email: 'weak@example.com', password: 'password123' })).status).toBe(400);
    provider = { id: made.body.id, userId: made.body.user_id };
    expect((await asProvider('GET', 'me')).body).toMatchObject({ status: 'active', email_verified: true });
    const { rows } = await world.db.query(sql`
      select type from ops.event_outbox where aggregate_id in (${made.body.id}, ${made.body.user_id}) order by id`);
    expect(rows).toEqual([{ type: 'user.registered' }, { type: 'provider.activated' }]);
    const { rows: keys } = await world.db.query(
      sql`select body::text from ops.idempotency_key where key = 'made-0001'`,
    );
    expect(JSON.stringify(keys)).not.toContain('tangerine');
  });

  it('is listed newest first, by status, and shown with its subscriptions', async () => {
    const { level } = await catalogue();
    await world.make.subscription({ providerId: provider.id, levelId: level.id });
    const newest = await world.make.provider({ status: 'pending' });
    const { body } = await asAdmin('GET', 'providers?limit=2');
    expect(body.items.map((each: { id: string }) => each.id)).toEqual([newest.id, provider.id]);
    const next = await asAdmin('GET', `providers?limit=200&cursor=${body.pagination.next_cursor}`);
    expect(next.body.items.map((each: { id: string }) => each.id)).not.toContain(provider.id);
    const pending = await asAdmin('GET', 'providers?status=pending');
    expect(new Set(pending.body.items.map((each: { status: string }) => each.status))).toEqual(new Set(['pending']));
    const one = await asAdmin('GET', `providers/${provider.id}`);
    expect(one.body.subscriptions).toMatchObject([{ level: 'Standard', status: 'active', areas: ['*'] }]);
    expect((await asAdmin('GET', `providers/${nobody}`)).status).toBe(404);
  });

  it('is subscribed by staff, who may give it weight', async () => {
    const { level } = await catalogue();
    const body = { level_id: level.id, areas: ['US'], weight: 10 };
    expect(await asAdmin('POST', `providers/${provider.id}/subscriptions`, body)).toMatchObject({
      status: 201,
      body: { weight: 10 },
    });
    expect((await asAdmin('POST', `providers/${nobody}/subscriptions`, body)).status).toBe(404);
    expect((await asAdmin('POST', `providers/${provider.id}/subscriptions`, { ...body, weight: 11 })).status).toBe(400);
  });
});

describe('the portal', () => {
  it('shows and changes the own profile', async () => {
    await world.db.query(sql`insert into account (provider_id, balance_cents) values (${provider.id}, 4200)`);
    expect((await asProvider('GET', 'me')).body).toMatchObject({
      id: provider.id,
      balance_cents: 4200,
      low_balance_cents: null,
      version: 1,
    });
    const change = { company: 'New Name', tz: 'Europe/Berlin', low_balance_cents: 2000 };
    expect((await asProvider('PATCH', 'me', change)).body).toMatchObject({
      company: 'New Name',
      tz: 'Europe/Berlin',
      version: 2,
    });
    expect(thresholds).toEqual([2000]);
    expect((await asProvider('PATCH', 'me', { company: 'X', expected_version: 1 })).body.code).toBe('version_changed');
  });

  it.each([
    { tz: 'Mars/Olympus' },
    { tz: '+01:00' },
    { company: '' },
    { company: 'a\ud800' },
    { status: 'active' },
    { low_balance_cents: -1 },
  ])('refuses the profile %j', async (change) => expect((await asProvider('PATCH', 'me', change)).status).toBe(400));

  it('shows levels on sale, of one niche if asked', async () => {
    const { niche, level } = await catalogue();
    await world.make.level({ nicheId: niche.id, status: 'retired' });
    expect((await asProvider('GET', `levels?niche=${niche.slug}`)).body.items).toEqual([level]);
    expect((await asProvider('GET', 'levels?niche=a%00b')).status).toBe(400);
  });

  it('subscribes, changes and cancels', async () => {
    const { level } = await catalogue();
    const filter_rules = [{ field: 'rooms', op: 'between', value: [1, 4] }];
    const made = await asProvider('POST', 'subscriptions', {
      level_id: level.id,
      areas: ['US-941'],
      filter_rules,
      daily_cap: 2,
    });
    expect(made).toMatchObject({
      status: 201,
      body: { status: 'paused_funds', filter_rules, daily_cap: 2, weight: 1, price_cents: 1500 },
    });
    expect((await asProvider('GET', 'subscriptions')).body.items).toEqual([made.body]);
    const url = `subscriptions/${made.body.id}`;
    expect((await asProvider('PATCH', url, { status: 'paused_user' })).body).toMatchObject({
      changed: true,
      status: 'paused_user',
    });
    expect((await asProvider('PATCH', url, { status: 'paused_user' })).body).toMatchObject({ changed: false });
    expect((await asProvider('DELETE', url)).body).toMatchObject({ changed: true, status: 'cancelled' });
    expect((await asProvider('DELETE', url)).body).toMatchObject({ changed: false, status: 'cancelled' });
    expect((await asProvider('PATCH', url, { status: 'active' })).body).toMatchObject({
      code: 'invalid_state',
      details: { status: 'cancelled' },
    });
  });

  it('subscribes once when asked twice at once', async () => {
    const { level } = await catalogue();
    const body = { level_id: level.id, areas: ['*'] };
    const answers = await Promise.all([
      asProvider('POST', 'subscriptions', body),
      asProvider('POST', 'subscriptions', body),
    ]);
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 409]);
    expect(answers.find(({ status }) => status === 409)?.body.code).toBe('already_subscribed');
  });

  it('says which filter rule is wrong, and where', async () => {
    const { level } = await catalogue();
    const rules = [
      { field: 'rooms', op: 'gte', value: 2 },
      { field: 'rooms', op: 'contains', value: 'x' },
    ];
    const answer = await asProvider('POST', 'subscriptions', { level_id: level.id, areas: ['*'], filter_rules: rules });
    expect(answer).toMatchObject({
      status: 400,
      body: { code: 'filter_invalid', details: { at: 'body.filter_rules.1.op' } },
    });
  });

  it.each([
    ['no areas', { areas: [] }],
    ['an unknown area', { areas: ['US-XX'] }],
    ['an area with NUL', { areas: ['US\u0000'] }],
    ['51 areas', { areas: Array(51).fill('*') }],
    ['a cap of 0', { daily_cap: 0 }],
    ['own weight', { weight: 10 }],
    ['rules that are no list', { filter_rules: { a: 1 } }],
    ['a level that is no id', { level_id: '7' }],
  ])('refuses %s', async (_what, fault) => {
    const { level } = await catalogue();
    expect((await asProvider('POST', 'subscriptions', { level_id: level.id, areas: ['*'], ...fault })).status).toBe(
      400,
    );
  });

  it('never reaches another provider', async () => {
    const { level } = await catalogue();
    const other = await world.make.provider();
    const { id } = await world.make.subscription({ providerId: other.id, levelId: level.id });
    expect((await asProvider('PATCH', `subscriptions/${id}`, { status: 'paused_user' })).status).toBe(404);
    expect((await asProvider('DELETE', `subscriptions/${id}`)).status).toBe(404);
    expect((await asProvider('GET', 'subscriptions')).body.items).toEqual([]);
    const { rows } = await world.db.query(sql`select status from subscription where id = ${id}`);
    expect(rows).toEqual([{ status: 'active' }]);
  });

  it('takes no writes before the address is verified, nor from the suspended', async () => {
    const { level } = await catalogue();
    const body = { level_id: level.id, areas: ['*'] };
    provider = await world.make.provider({ status: 'pending', emailVerified: false });
    expect((await asProvider('GET', 'me')).status).toBe(200);
    expect((await asProvider('POST', 'subscriptions', body)).body.code).toBe('email_unverified');
    expect((await asProvider('PATCH', 'me', { company: 'X' })).body.code).toBe('email_unverified');
    provider = await world.make.provider({ status: 'suspended' });
    expect((await asProvider('POST', 'subscriptions', body)).body.code).toBe('invalid_state');
  });
});
