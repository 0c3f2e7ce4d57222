import { randomUUID } from 'node:crypto';
import { raw, sql } from '@fmhl/ops';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { confirmToken, eraseToken } from './features/leads/index.ts';
import { signInCaller } from './testing/callers.ts';
import { makeAssignments } from './testing/inbox.ts';
import { present } from './testing/nth.ts';
import { openTestProduct, type TestProduct } from './testing/product.ts';

let product: TestProduct;
beforeAll(async () => {
  product = await openTestProduct({ redisDatabase: 11 });
});
afterAll(() => product?.close());

/** What tells of the person, as it is sent and as it is stored. */
const traces = [
  'Wilhelmina',
  'wilhelmina.q@example.com',
  '4155550142',
  'Unter den Linden',
  'somewhere-she-was',
  '203.0.113.77',
];

/** Tables with a row that holds a trace, as `table: trace`. */
async function tracesLeft(): Promise<string[]> {
  const { db } = product.world;
  const { rows } = await db.query<{ name: string }>(sql`
    select format('%I.%I', table_schema, table_name) as name from information_schema.tables
    where table_schema in ('public', 'ops', 'identity') and table_type = 'BASE TABLE'`);
  const found: string[] = [];
  for (const { name } of rows)
    for (const trace of traces) {
      const { rowCount } = await db.query(raw(`select from ${name} t where t::text ilike '%${trace}%' limit 1`));
      if (rowCount > 0) found.push(`${name}: ${trace}`);
    }
  return found;
}

/** Submitted, confirmed, approved, sold, reported and refunded, all as people do it. */
async function refundedLead() {
  const { world, app } = product;
  const niche = await world.make.niche({
    slug: 'roofing',
    formSchema: { fields: [{ name: 'where', label: 'Where?', type: 'text', required: true }] },
  });
  const level = await world.make.level({ nicheId: niche.id, priceCents: 100 });
  const caller = await signInCaller(world.db, { role: 'provider', factor: 'fresh' });
  const { rows } = await world.db.query<{ id: string }>(sql`select id from provider where user_id = ${caller.userId}`);
  const providerId = present(rows[0]).id;
  await world.make.credit({ providerId });
  await world.make.subscription({ providerId, levelId: level.id });
  const submitted = await product.call({
    method: 'POST',
    url: '/api/v1/leads',
    remoteAddress: '203.0.113.77',
    headers: { 'idempotency-key': randomUUID() },
    payload: {
      niche: 'roofing',
      name: 'Wilhelmina Quill',
      email: 'Wilhelmina.Q@example.com',
      phone: '+1 415 555 0142',
      form: { where: 'Unter den Linden 7' },
      consent: { version: 1 },
      utm: { content: 'somewhere-she-was' },
    },
  });
  const { id } = submitted.json();
  const token = confirmToken(app.keys, { leadId: id, nonce: 1 });
  await product.call({ method: 'POST', url: '/api/v1/leads/confirm', payload: { token } });
  const admin = await signInCaller(world.db, { role: 'admin', factor: 'fresh' });
  await product.call({ method: 'POST', url: `/api/v1/admin/leads/${id}/approve`, headers: admin.headers });
  const assignment = present((await makeAssignments(world.db, id, world)).get(providerId));
  const reported = await product.call({
    method: 'POST',
    url: `/api/v1/provider/inbox/${assignment}/report`,
    headers: { ...caller.headers, 'idempotency-key': randomUUID() },
    payload: { reason: 'other', notes: 'Wilhelmina says that she never asked' },
  });
  expect([reported.statusCode, reported.json().notes]).toEqual([201, undefined]);
  const declined = await product.call({
    method: 'POST',
    url: `/api/v1/provider/inbox/${assignment}/decline`,
    headers: { ...caller.headers, 'idempotency-key': randomUUID() },
    payload: { reason: 'Wilhelmina never answers' },
  });
  expect(declined.statusCode).toBe(200);
  const decided = await product.call({
    method: 'POST',
    url: `/api/v1/admin/bad-leads/${assignment}/approve`,
    headers: admin.headers,
    payload: { memo: 'She says so herself' },
  });
  expect(decided.statusCode).toBe(200);
  return { id, providerId, admin };
}

it('shows why a lead went where it went, until an erasure leaves nothing of the person in any table, but for the consent, which is kept as it was given', async () => {
  const { id, providerId, admin } = await refundedLead();
  const { body } = await product.call({ url: `/api/v1/admin/leads/${id}`, headers: admin.headers });
  expect(JSON.parse(body)).toMatchObject({
    status: 'distributed',
    sale_verdict: 'in_time',
    consent: { ip: '203.0.113.77' },
    runs: [{ outcome: 'distributed', assigned: 1 }],
    assignments: [
      {
        provider_id: providerId,
        company: 'Test Roofing',
        refund: { amount_cents: 100, memo: 'She says so herself' },
        report: { status: 'approved', reason: 'other' },
        mail: { status: 'queued' },
      },
    ],
    mails: [{ template: 'lead_confirm' }],
  });
  const written = ['public.lead: Wilhelmina', 'public.bad_lead_report: Wilhelmina', 'public.inbox_mark: Wilhelmina'];
  expect(await tracesLeft()).toEqual(expect.arrayContaining(written));
  expect(await tracesLeft()).not.toContain('ops.idempotency_key: Wilhelmina');
  const answer = await product.call({
    method: 'POST',
    url: '/api/v1/leads/erase',
    payload: { token: eraseToken(product.app.keys, id) },
  });
  expect(answer.statusCode).toBe(200);
  expect(await tracesLeft()).toEqual(['public.lead_consent: 203.0.113.77']);
  const { rows } = await product.world.db.query(sql`
    select (select count(*)::int from assignment where lead_id = ${id}) as sold,
           (select count(*)::int from ledger_entry where kind = 'lead_charge') as charges,
           (select count(*)::int from ledger_entry where kind = 'lead_refund') as refunds,
           (select status from bad_lead_report) as report`);
  expect(rows).toEqual([{ sold: 1, charges: 1, refunds: 1, report: 'approved' }]);
  expect(product.lines.join('')).not.toContain('ilhelmina');
});
