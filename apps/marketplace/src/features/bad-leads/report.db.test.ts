import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokenInvariants } from '../../testing/distribution.ts';
import { nth } from '../../testing/nth.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { memo, moneyOf, openMarket } from './market.fixture.ts';

const day = 86_400_000;
let world: TestWorld;
let market: Awaited<ReturnType<typeof openMarket>>;
let late = 0;

beforeAll(async () => {
  world = await openTestWorld();
  market = await openMarket(world, { providers: 2, now: () => new Date(Date.now() + late) });
});
afterAll(async () => {
  await market.server.close();
  await world.close();
});

const spam = { reason: 'spam', notes: 'nothing but advertisements' };
const buyer = () => nth(market.providers, 0);
const report = (id: string, body: object = spam, by: { userId: string } = buyer()) =>
  market.asProvider(by, 'POST', `/provider/inbox/${id}/report`, body);

async function reported(lead = {}) {
  const sold = await market.sell(lead);
  const id = sold.of(buyer());
  expect((await report(id)).status).toBe(201);
  return { ...sold, id };
}

/** So that a provider may report again: the limit of a day is not what these tests are about. */
async function newDay(): Promise<void> {
  await world.db.query(
    sql`update bad_lead_report set reported_at = reported_at - interval '1 day' where status = 'pending'`,
  );
}

describe('a report of a bad lead', () => {
  it('is taken from its buyer, changes no money, and is told and audited under the correlation of the lead', async () => {
    const { id, correlationId } = await reported();
    const { body } = await report(id);
    expect(body).toMatchObject({ changed: false, status: 'pending', refund_cents: null, reason: 'spam' });
    expect(body).not.toHaveProperty('notes');
    expect((await moneyOf(world, buyer().id)).refunds).toEqual([]);
    const { rows } = await world.db.query(sql`
      select type, payload, aggregate_version::int as version, correlation_id = ${correlationId} as same
      from ops.event_outbox where aggregate_id = ${id} and aggregate_type = 'bad_lead_report'`);
    const payload = { assignment_id: id, reason: 'spam' };
    expect(rows).toEqual([{ type: 'bad_lead.reported', payload, version: 1, same: true }]);
    const { rows: audit } = await world.db.query(sql`
      select action, details from ops.audit_log where target_id = ${id}`);
    expect(audit).toEqual([{ action: 'bad_lead.reported', details: { reason: 'spam' } }]);
    expect(world.metrics.counts.badLeadsReported).toBe(1);
    expect(world.lines.join()).not.toContain('advertisements');
  });

  it('is one, however often it is delivered at once', async () => {
    const { of } = await market.sell();
    const answers = await Promise.all(Array.from({ length: 20 }, () => report(of(buyer()))));
    expect(answers.map((one) => one.status).toSorted((a, b) => a - b)).toEqual([
      ...Array.from({ length: 19 }, () => 200),
      201,
    ]);
    expect(answers.filter((one) => one.body.changed)).toHaveLength(1);
  });

  it('is refused from another, for an unknown lead, and when another report waits', async () => {
    const { id } = await reported();
    const stranger = await world.make.provider();
    expect((await report(id, spam, stranger)).body.code).toBe('not_found');
    expect((await report(randomUUID())).body.code).toBe('not_found');
    expect((await report(id, { reason: 'duplicate' })).body).toMatchObject({
      code: 'invalid_state',
      details: { status: 'pending' },
    });
  });

  it('is refused from those who may not write', async () => {
    await newDay();
    const { of } = await market.sell();
    const other = nth(market.providers, 1);
    await world.db.query(sql`update identity.users set email_verified_at = null where id = ${other.userId}`);
    expect((await report(of(other), spam, other)).body.code).toBe('email_unverified');
    await world.db.query(sql`update identity.users set email_verified_at = now() where id = ${other.userId}`);
    await world.db.query(sql`update provider set status = 'suspended' where id = ${other.id}`);
    expect((await report(of(other), spam, other)).body.code).toBe('invalid_state');
    await world.db.query(sql`update provider set status = 'active' where id = ${other.id}`);
    expect((await report(of(other), spam, other)).status).toBe(201);
  });

  it.each([
    [{}],
    [{ reason: 'boring' }],
    [{ reason: 'other' }],
    [{ reason: 'other', notes: '  ' }],
    [{ reason: 'spam', notes: 'x'.repeat(2_001) }],
    [{ reason: 'spam', notes: 'a\u0000b' }],
    [{ reason: 'spam', refund_cents: 1 }],
  ])('of %j is refused', async (body) => {
    const { of } = await market.sell();
    const answer = await report(of(buyer()), body);
    expect([answer.status, answer.body.code]).toEqual([400, 'validation_failed']);
  });

  it('is taken until the window of the niche is over, and no later', async () => {
    await newDay();
    await world.db.query(sql`update niche set report_window_days = 3 where id = ${market.niche.id}`);
    const [first, second] = [await market.sell(), await market.sell()];
    try {
      late = 3 * day - 60_000;
      expect((await report(first.of(buyer()))).status).toBe(201);
      late = 3 * day + 60_000;
      expect((await report(second.of(buyer()))).body.code).toBe('report_window_closed');
      expect((await report(first.of(buyer()))).body).toMatchObject({ status: 'pending', changed: false });
    } finally {
      late = 0;
    }
  });

  it('is one of ten in a day, also when many come at once; the eleventh is told when to come again', async () => {
    const { id: providerId, userId } = await world.make.provider();
    await world.make.credit({ providerId });
    await world.make.subscription({ providerId, levelId: market.level.id });
    const ids = [];
    for (let at = 0; at < 14; at += 1) ids.push((await market.sell()).of({ id: providerId }));
    const answers = await Promise.all(ids.slice(0, 13).map((id) => report(id, spam, { userId })));
    expect(answers.map((one) => one.status).toSorted((a, b) => a - b)).toEqual([
      ...Array.from({ length: 10 }, () => 201),
      429,
      429,
      429,
    ]);
    const refused = answers.find((one) => one.status === 429);
    expect(refused?.body.code).toBe('rate_limited');
    expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(86_000);
    late = day + 60_000;
    try {
      expect((await report(nth(ids, 13), spam, { userId })).status).toBe(201);
    } finally {
      late = 0;
    }
  });
});

describe('the own reports of a provider', () => {
  it('show their outcome, newest first and page by page, and neither the memo nor anything of others', async () => {
    await newDay();
    const [one, two, three] = [await reported(), await reported(), await reported()];
    await market.asAdmin('POST', `/admin/bad-leads/${one.id}/approve`, { memo });
    await market.asAdmin('POST', `/admin/bad-leads/${two.id}/reject`, { memo });
    const first = await market.asProvider(buyer(), 'GET', '/provider/reports/bad-leads?limit=2');
    expect(first.body.items).toMatchObject([
      { assignment_id: three.id, status: 'pending', resolved_at: null, refund_cents: null },
      { assignment_id: two.id, status: 'rejected', refund_cents: null },
    ]);
    const cursor = first.body.pagination.next_cursor;
    const rest = await market.asProvider(buyer(), 'GET', `/provider/reports/bad-leads?limit=1&cursor=${cursor}`);
    expect(rest.body.items).toMatchObject([{ assignment_id: one.id, status: 'approved', refund_cents: 2_800 }]);
    expect(JSON.stringify([first, rest])).not.toMatch(/looked at|resolved_by/);
    const others = await market.asProvider(nth(market.providers, 1), 'GET', '/provider/reports/bad-leads');
    expect(JSON.stringify(others.body)).not.toContain(one.id);
    expect((await report(two.id)).body).toMatchObject({ code: 'already_resolved', details: { status: 'rejected' } });
  });
});

describe('the reports that the staff see', () => {
  it('stand beside the history of their provider and what the other buyers said', async () => {
    await newDay();
    const source = `source-${randomUUID()}`;
    const peer = nth(market.providers, 1);
    const { id, of, leadId } = await reported({ source });
    await report(of(peer), { reason: 'unreachable' }, peer);
    await market.asAdmin('POST', `/admin/bad-leads/${of(peer)}/approve`, { memo });
    const { body } = await market.asAdmin('GET', `/admin/bad-leads?source=${source}&status=pending`);
    expect(body.items).toHaveLength(1);
    expect(body.items[0]).toMatchObject({
      assignment_id: id,
      lead_id: leadId,
      source,
      ...spam,
      status: 'pending',
      via: 'report',
      price_cents: 2_800,
      provider: { id: buyer().id, company: 'Test Roofing' },
    });
    expect(body.items[0].peers.reported).toBe(1);
    expect(body.items[0].peers.approved).toBe(1);
    const { history } = body.items[0].provider;
    expect(history.reported).toBeGreaterThan(0);
    expect(history.reported_share).toBeCloseTo(history.reported / history.assignments);
    const all = await market.asAdmin('GET', `/admin/bad-leads?source=${source}`);
    expect(all.body.items.map((item: { assignment_id: string }) => item.assignment_id)).toEqual([of(peer), id]);
  });

  it('go on page by page without a gap or a repeat, those that wait oldest first', async () => {
    for (const filter of ['', '&status=pending', `&provider=${buyer().id}`]) {
      const whole = await market.asAdmin('GET', `/admin/bad-leads?limit=200${filter}`);
      const seen: string[] = [];
      let cursor = '';
      do {
        const { body } = await market.asAdmin('GET', `/admin/bad-leads?limit=3${filter}${cursor}`);
        seen.push(...body.items.map((item: { assignment_id: string }) => item.assignment_id));
        cursor = body.pagination.next_cursor ? `&cursor=${body.pagination.next_cursor}` : '';
      } while (cursor);
      expect(seen).toEqual(whole.body.items.map((item: { assignment_id: string }) => item.assignment_id));
      expect(seen.length).toBeGreaterThan(3);
    }
    expect(await brokenInvariants(world.db)).toEqual({});
  });
});
