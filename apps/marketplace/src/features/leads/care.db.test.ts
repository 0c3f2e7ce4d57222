import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testKeys } from '../../testing/auth.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import type { LeadOverrides } from '../../testing/leads.ts';
import { planOf } from '../../testing/plan.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { adminLeadRoutes, confirmToken, eraseToken, publicLeadRoutes } from './index.ts';
import { sourcesStatement } from './sources.ts';

let world: TestWorld;
let app: FastifyInstance;
let niche: { id: string; slug: string };
const keys = testKeys;

beforeAll(async () => {
  world = await openTestWorld();
  const readSales = async () => ({ runs: [], assignments: [], truncated: false });
  app = await openTestServer(world.log, {
    routes: (routes) => {
      publicLeadRoutes(routes, { ...world, keys });
      adminLeadRoutes(routes, { ...world, readSales });
    },
  });
  niche = await world.make.niche({ slug: 'roofing' });
});
afterAll(async () => {
  await app?.close();
  await world?.close();
});

const staff = signedInAs(randomUUID(), 'admin');
const memo = 'They asked us to by phone';
const act = (url: string, payload: object = { memo }, headers: object = {}) =>
  app.inject({ method: 'POST', url: `/admin/${url}`, headers: { ...staff, ...headers }, payload });
const get = async (url: string) => (await app.inject({ method: 'GET', url: `/admin/${url}`, headers: staff })).json();
const make = (overrides: Partial<LeadOverrides> = {}) =>
  world.make.lead({ nicheId: niche.id, status: 'pending_approval', ...overrides });
const submit = (more: object = {}, headers: object = {}) =>
  app.inject({
    method: 'POST',
    url: '/leads',
    headers: { ...headers },
    payload: {
      niche: 'roofing',
      name: 'Jane Doe',
      email: `jane-${randomUUID()}@example.com`,
      phone: '+1 415 555 0123',
      form: {},
      consent: { version: 1 },
      ...more,
    },
  });
const erase = (token: string) => app.inject({ method: 'POST', url: '/leads/erase', payload: { token } });

async function rowsOf(leadId: string) {
  const { rows } = await world.db.query<Record<string, unknown>>(sql`
    select l.status, l.version, l.reject_reason, l.name, l.email, l.email_norm, l.phone_e164, l.form, l.utm, l.ip, l.request_sha256,
           l.erased_at is not null as erased,
           (select array_agg(to_address || ' ' || status order by created_at) from email where related_id = l.id) as mails,
           (select count(*)::int from lead_consent where lead_id = l.id) as consents,
           (select array_agg(type order by id) from ops.event_outbox where aggregate_id = l.id::text) as events,
           (select array_agg(actor || ' ' || action order by seq) from ops.audit_log where target_id = l.id::text) as audited
    from lead l where id = ${leadId}`);
  return rows[0];
}

const nobody = { name: null, email: null, email_norm: null, phone_e164: null, form: {}, utm: null, ip: null };

describe('the link that erases', () => {
  it('removes the person from the lead and its mails, ends the lead, and keeps the consent', async () => {
    const { id } = (await submit({ utm: { source: 'x' } })).json();
    const answer = await erase(eraseToken(keys, id));
    expect([answer.statusCode, answer.json()]).toEqual([200, { id, erased_at: expect.any(String) }]);
    expect(await rowsOf(id)).toEqual({
      ...nobody,
      status: 'rejected',
      version: 3,
      reject_reason: 'erased',
      request_sha256: null,
      erased: true,
      mails: ['erased@erased.invalid suppressed'],
      consents: 1,
      events: ['lead.submitted', 'lead.rejected', 'lead.erased'],
      audited: ['consumer lead.erased'],
    });
    const again = await erase(eraseToken(keys, id));
    expect([again.statusCode, again.json()]).toEqual([200, answer.json()]);
    expect(await rowsOf(id)).toMatchObject({ version: 3, audited: ['consumer lead.erased'] });
  });

  it('leaves nothing to confirm, to review or to know the person by', async () => {
    const email = `gone-${randomUUID()}@example.com`;
    const { id } = (await submit({ email })).json();
    await erase(eraseToken(keys, id));
    const token = confirmToken(keys, { leadId: id, nonce: 1 });
    expect((await app.inject({ method: 'POST', url: '/leads/confirm', payload: { token } })).statusCode).toBe(410);
    expect((await act(`leads/${id}/approve`, {})).json()).toMatchObject({ code: 'invalid_state' });
    expect(await get(`leads/${id}`)).toMatchObject({ name: null, email: null, erased_at: expect.any(String) });
    const { items } = await get('leads?status=rejected&limit=1');
    expect(items).toMatchObject([{ id, email_masked: null, erased_at: expect.any(String) }]);
    const { id: next } = (await submit({ email, phone: '+1 415 555 0177' })).json();
    expect(await get(`leads/${next}`)).toMatchObject({ duplicate_of: null });
  });

  it('is not good for another purpose, and no other token is good for it', async () => {
    const { id } = await make();
    for (const token of [confirmToken(keys, { leadId: id, nonce: 1 }), `${eraseToken(keys, id)}x`, 'AAAA']) {
      expect((await erase(token)).statusCode).toBe(404);
    }
    expect((await rowsOf(id))?.erased).toBe(false);
  });
});

describe('an erasure by the staff', () => {
  it('is written to the audit log with its reason, once', async () => {
    const { id } = await make({ status: 'approved' });
    expect((await act(`leads/${id}/erase`)).json()).toMatchObject({ id, changed: true });
    expect((await act(`leads/${id}/erase`)).json()).toMatchObject({ id, changed: false });
    expect(await rowsOf(id)).toMatchObject({
      ...nobody,
      status: 'rejected',
      audited: [`${staff['x-user']} lead.erased`],
    });
    expect((await act(`leads/${randomUUID()}/erase`)).statusCode).toBe(404);
    expect((await act(`leads/${id}/erase`, {})).statusCode).toBe(400);
  });
});

describe('a blocked source', () => {
  it('is refused from the next lead on, and taken in again when it is unblocked', async () => {
    const source = `ads/${randomUUID()} ü`;
    const url = `sources/${encodeURIComponent(source)}`;
    expect((await submit({ source })).statusCode).toBe(202);
    expect((await act(`${url}/block`)).json()).toEqual({ source, blocked: true, changed: true });
    expect((await act(`${url}/block`)).json()).toMatchObject({ changed: false });
    const refused = await submit({ source });
    expect([refused.statusCode, refused.json().code]).toEqual([403, 'source_blocked']);
    expect((await submit({ source: `${source}2` })).statusCode).toBe(202);
    expect((await submit()).statusCode).toBe(202);
    expect((await act(`${url}/unblock`)).json()).toEqual({ source, blocked: false, changed: true });
    expect((await act(`${url}/unblock`)).json()).toMatchObject({ changed: false });
    expect((await submit({ source })).statusCode).toBe(202);
    const { rows } = await world.db.query(sql`
      select (select count(*)::int from lead where source = ${source}) as leads,
             (select array_agg(action || ' ' || reason order by seq) from ops.audit_log where target_id = ${source}) as audited`);
    expect(rows).toEqual([{ leads: 2, audited: [`source.blocked ${memo}`, `source.unblocked ${memo}`] }]);
  });

  it('stores nothing of a refused lead, and still gives a repeat its first answer', async () => {
    const source = `ads-${randomUUID()}`;
    const key = { 'idempotency-key': randomUUID() };
    const body = { source, email: 'repeat@example.com' };
    const first = await submit(body, key);
    await act(`sources/${source}/block`);
    const again = await submit(body, key);
    expect([again.statusCode, again.json()]).toEqual([202, first.json()]);
    const count = async () => {
      const { rows } = await world.db.query(sql`
        select (select count(*) from lead) + (select count(*) from email) + (select count(*) from ops.job_outbox)
             + (select count(*) from ops.event_outbox) as rows`);
      return rows[0];
    };
    const before = await count();
    const many = await Promise.all(Array.from({ length: 20 }, () => submit({ source })));
    expect(new Set(many.map(({ statusCode }) => statusCode))).toEqual(new Set([403]));
    expect(await count()).toEqual(before);
  });

  it('stands in the list beside those that nobody judged, page by page', async () => {
    await make({ source: 'list-a' });
    await make({ source: 'list-a' });
    await make({ source: 'list-c' });
    await act('sources/list-b/block');
    const seen: { source: string }[] = [];
    let cursor = Buffer.from(JSON.stringify(['list-'])).toString('base64url');
    do {
      const page = await get(`sources?limit=1&cursor=${cursor}`);
      seen.push(...page.items);
      cursor = page.pagination.next_cursor;
    } while (cursor);
    expect(seen).toMatchObject([
      { source: 'list-a', blocked_at: null, leads_24h: 2, last_lead_at: expect.any(String) },
      { source: 'list-b', blocked_at: expect.any(String), memo, leads_24h: 0, last_lead_at: null },
      { source: 'list-c', blocked_at: null, leads_24h: 1 },
    ]);
    const blocked = (await get('sources?blocked=true')).items.map(({ source }: { source: string }) => source);
    expect(blocked).toContain('list-b');
    expect(blocked).not.toContain('list-a');
  });

  it('is listed by index, however many leads there are', async () => {
    const { text, values } = sourcesStatement({ limit: 50 });
    await world.db.transaction(async (tx) => {
      await tx.query(sql`set local enable_seqscan = off`);
      const nodes = await planOf(tx, { text, values });
      expect(
        nodes.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name']),
      ).not.toContain('lead');
      expect(nodes.map((node) => node['Index Name'])).toContain('lead_list_source');
    });
  });
});

describe('one decision about many leads', () => {
  const bulk = (payload: object, key: string = randomUUID()) => act('leads/bulk', payload, { 'idempotency-key': key });

  it('does what is possible to each, and says of the others why not', async () => {
    const [one, two, done] = [await make(), await make(), await make({ status: 'rejected' })];
    const nothing = randomUUID();
    const ids = [one.id, done.id, nothing, two.id, one.id];
    const { results } = (await bulk({ action: 'approve', ids })).json();
    expect(results).toEqual([
      { id: one.id, ok: true },
      { id: done.id, ok: false, code: 'invalid_state' },
      { id: nothing, ok: false, code: 'not_found' },
      { id: two.id, ok: true },
    ]);
    const { rows } = await world.db.query(sql`
      select status, count(*)::int from lead where id = any(${ids}::uuid[]) group by status order by status`);
    expect(rows).toEqual([
      { status: 'approved', count: 2 },
      { status: 'rejected', count: 1 },
    ]);
  });

  it('repeats its answer under its key, and does nothing twice', async () => {
    const { id } = await make({ status: 'approved' });
    const key = randomUUID();
    const payload = { action: 'distribute', ids: [id, randomUUID()], reason: memo };
    const first = await bulk(payload, key);
    const second = await bulk(payload, key);
    expect(second.json()).toEqual(first.json());
    expect([first.headers['idempotency-replayed'], second.headers['idempotency-replayed']]).toEqual([
      undefined,
      'true',
    ]);
    const { rows } = await world.db.query(sql`select sale_no from lead where id = ${id}`);
    expect(rows).toEqual([{ sale_no: 2 }]);
    expect((await bulk({ ...payload, ids: [randomUUID()] }, key)).json().code).toBe('idempotency_key_reused');
  });

  it('asks for a key, a reason where one is due, and at most 50 leads', async () => {
    const ids = [(await make()).id];
    expect((await act('leads/bulk', { action: 'approve', ids })).json().code).toBe('idempotency_key_required');
    for (const payload of [
      { action: 'reject', ids },
      { action: 'distribute', ids, reason: 'too short' },
      { action: 'approve', ids: [] },
      { action: 'approve', ids: Array.from({ length: 51 }, () => randomUUID()) },
    ]) {
      expect((await bulk(payload)).json().code).toBe('validation_failed');
    }
    expect((await bulk({ action: 'reject', ids, reason: 'A joke' })).json().results).toEqual([
      { id: ids[0], ok: true },
    ]);
  });
});
