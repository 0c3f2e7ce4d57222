import { randomUUID } from 'node:crypto';
import { sql, systemActor } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Cut, type CuttableDatabase, openCuttableDatabase } from '../../testing/cut-commit.ts';
import { brokenInvariants } from '../../testing/distribution.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { nth, present } from '../../testing/nth.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { refund } from '../billing/index.ts';
import { refundMark } from '../distribution/index.ts';
import { approveReport } from './decide.ts';
import { badLeadRoutes } from './index.ts';
import { memo, moneyOf, openMarket } from './market.fixture.ts';

let world: TestWorld;
let market: Awaited<ReturnType<typeof openMarket>>;
/** The same database over a wire that can be cut, and the routes on it. */
let wire: CuttableDatabase;
let overWire: FastifyInstance;
const admin = signedInAs(randomUUID(), 'admin');

beforeAll(async () => {
  world = await openTestWorld();
  market = await openMarket(world, { providers: 4 });
  wire = await openCuttableDatabase(world.url);
  overWire = await openTestServer(world.log, {
    routes: (app) => badLeadRoutes(app, { ...world, db: wire.db }),
  });
});
afterAll(async () => {
  await Promise.all([overWire.close(), market.server.close()]);
  await wire.close();
  await world.close();
});

async function reportedLead() {
  const sold = await market.sell();
  const buyer = nth(market.providers, 0);
  const id = sold.of(buyer);
  await world.db.query(sql`
    insert into bad_lead_report (assignment_id, provider_id, reason, status, via, reported_at)
    values (${id}, ${buyer.id}, 'spam', 'pending', 'report', now())`);
  return { ...sold, id, ids: market.providers.map((one) => sold.of(one)) };
}

const expectedOf = (assignments: number) => ({
  leads: 1,
  assignments,
  providers: assignments,
  refund_cents: assignments * 2_800,
});

async function refunds(ids: readonly string[]): Promise<number> {
  const { rows } = await world.db.query<{ count: number }>(sql`
    select count(*)::int as count from v_ledger_entry where kind = 'lead_refund' and assignment_id = any(${ids}::uuid[])`);
  return present(rows[0]).count;
}

describe('fifty at once who refund one assignment', () => {
  it('by every way there is give its price back once', async () => {
    const { id, ids, leadId } = await reportedLead();
    const buyer = nth(market.providers, 0);
    const before = await moneyOf(world, buyer.id);
    const ways = [
      () => market.asAdmin('POST', `/admin/bad-leads/${id}/approve`, { memo }),
      () => market.asAdmin('POST', `/admin/assignments/${id}/refund`, { memo }),
      () => market.asAdmin('POST', '/admin/leads/mark-bad', { memo, ids: [leadId], expected: expectedOf(4) }),
      () => market.asAdmin('POST', '/admin/bad-leads/bulk', { memo, action: 'approve', ids: [id] }),
      () => market.asAdmin('POST', `/admin/bad-leads/${id}/reject`, { memo }),
    ];
    const ends = await Promise.all(Array.from({ length: 50 }, (_one, at) => nth(ways, at % ways.length)()));
    expect(ends.filter((end) => end.status >= 500)).toEqual([]);
    const after = await moneyOf(world, buyer.id);
    const times = after.refunds.filter((one) => one.assignment_id === id).length;
    expect(times).toBeLessThanOrEqual(1);
    expect(after.balance).toBe(before.balance + 2_800 * times);
    // A rejection may have come first and the mark too late: then a last word is had here.
    await market.asAdmin('POST', `/admin/assignments/${id}/refund`, { memo });
    expect(await refunds([id])).toBe(1);
    expect([1, 4]).toContain(await refunds(ids));
    expect(await brokenInvariants(world.db)).toEqual({});
  });

  it.each([
    ['approvals', (id: string) => `/admin/bad-leads/${id}/approve`],
    ['goodwill', (id: string) => `/admin/assignments/${id}/refund`],
  ])('as %s find one winner', async (_name, urlOf) => {
    const { id } = await reportedLead();
    const ends = await Promise.all(Array.from({ length: 50 }, () => market.asAdmin('POST', urlOf(id), { memo })));
    expect(ends.filter((end) => end.body.refund)).toHaveLength(1);
    expect(await refunds([id])).toBe(1);
  });

  it('as marks on leads of the same buyers, six of each at once, refund each lead once', async () => {
    const leads = await Promise.all([reportedLead(), reportedLead(), reportedLead()]);
    const ids = leads.flatMap((lead) => lead.ids);
    const ends = await Promise.all(
      leads.flatMap(({ leadId }) =>
        Array.from({ length: 6 }, () =>
          market.asAdmin('POST', '/admin/leads/mark-bad', { memo, ids: [leadId], expected: expectedOf(4) }),
        ),
      ),
    );
    const done = ends.filter((end) => end.body.results?.[0]?.changed);
    expect(done.map((end) => end.body.refund_cents)).toEqual([11_200, 11_200, 11_200]);
    expect(await refunds(ids)).toBe(12);
    expect(world.metrics.counts['billingFailure.refund.error']).toBeUndefined();
    expect(await brokenInvariants(world.db)).toEqual({});
  });
});

describe('a connection that is lost at the COMMIT of a refund', () => {
  const send = (key: string | undefined, url: string, payload: object) =>
    overWire.inject({
      method: 'POST',
      url,
      headers: { ...admin, ...(key && { 'idempotency-key': key }) },
      payload: { memo, ...payload },
    });

  it.each([
    ['approval', 'before'],
    ['approval', 'after'],
    ['goodwill', 'before'],
    ['goodwill', 'after'],
  ] as const)('leaves an %s whole or absent (cut %s it), and the repeat makes it one', async (way, cut: Cut) => {
    const { id } = await reportedLead();
    const url = way === 'approval' ? `/admin/bad-leads/${id}/approve` : `/admin/assignments/${id}/refund`;
    const key = way === 'approval' ? undefined : randomUUID();
    const made = wire.cuts;
    wire.cutNext(cut);
    const first = await send(key, url, {});
    expect([wire.cuts - made, first.statusCode, first.json().code]).toEqual([1, 503, 'database_unavailable']);
    expect(await refunds([id])).toBe(cut === 'after' ? 1 : 0);
    const second = await send(key, url, {});
    expect(second.statusCode).toBe(200);
    if (key) expect(second.json().refund.amount_cents).toBe(2_800);
    else expect(second.json().changed).toBe(cut === 'before');
    expect(await refunds([id])).toBe(1);
    expect(await brokenInvariants(world.db)).toEqual({});
  });

  it.each([
    ['before', 'its choice of leads', 0],
    ['after', 'its choice of leads', 0],
    ['before', 'a lead', 1],
    ['after', 'a lead', 1],
  ] as const)('while leads are marked bad is asked again in place (cut %s that of %s)', async (cut, _what, skip) => {
    const { ids, leadId } = await reportedLead();
    const made = wire.cuts;
    wire.cutNext(cut, { skip });
    const answer = await send(randomUUID(), '/admin/leads/mark-bad', { ids: [leadId], expected: expectedOf(4) });
    expect([wire.cuts - made, answer.statusCode]).toEqual([1, 200]);
    expect(answer.json()).toMatchObject({ ...expectedOf(4), results: [{ id: leadId, ok: true, changed: true }] });
    expect(await refunds(ids)).toBe(4);
    expect(await brokenInvariants(world.db)).toEqual({});
  });

  it('leaves nothing of it when the process behind it is ended in the middle', async () => {
    const { id } = await reportedLead();
    const ended = wire.db.transaction(async (tx) => {
      const actor = { id: randomUUID(), name: 'a test', via: 'http' } as const;
      await approveReport(tx, { assignmentId: id, memo, actor }, world);
      const { rows } = await tx.query<{ pid: number }>(sql`select pg_backend_pid() as pid`);
      await world.db.query(sql`select pg_terminate_backend(${present(rows[0]).pid})`);
    });
    await expect(ended).rejects.toThrow();
    expect(await refunds([id])).toBe(0);
    const mails = await world.db.query(
      sql`select from email where related_id = ${id} and template = 'bad_lead_decided'`,
    );
    expect(mails.rowCount).toBe(0);
    expect(await brokenInvariants(world.db)).toEqual({});
  });
});

describe('the statement of a refund', () => {
  it('is enough by itself to give one price back once: whatever would call it', async () => {
    const { id } = await reportedLead();
    const actor = { id: randomUUID(), name: 'a test', via: 'http' } as const;
    const ends = await Promise.all(
      Array.from({ length: 50 }, () =>
        world.db.transaction((tx) => refund(tx, { marked: refundMark([id]), ref: id, memo, actor }, world)),
      ),
    );
    expect(ends.flat()).toMatchObject([{ assignment_id: id, amount_cents: 2_800 }]);
    expect(await refunds([id])).toBe(1);
    expect(Object.keys(await brokenInvariants(world.db))).toEqual(['bad_lead_reports']);
  });

  it('rolls back whole when there is no charge to give back', async () => {
    const { id } = await reportedLead();
    const actor = { id: randomUUID(), name: 'a test', via: 'http' } as const;
    const end = world.db.transaction(async (tx) => {
      for (const text of [
        'alter table ledger_entry disable trigger user',
        `delete from ledger_entry where assignment_id = '${id}'`,
      ]) {
        await tx.query({ name: '', text, values: [] });
      }
      await refund(tx, { marked: refundMark([id]), ref: id, memo, actor }, world);
    });
    await expect(end).rejects.toThrow('refund_mismatch');
    expect(world.metrics.counts['billingFailure.refund.error']).toBe(1);
    expect(await refunds([id])).toBe(0);
  });

  it('locks accounts in the order of their providers, as everywhere, so that none can wait in a circle', async () => {
    const many = await openMarket(world, { providers: 6 });
    const inOrder = many.providers.map((one) => one.id).sort();
    const freed = [];
    for (const providerId of inOrder) {
      const { leadId } = await many.sell();
      freed.push(await freeWhileRefundWaits(leadId, { providerId, inOrder }));
    }
    await many.server.close();
    expect(freed).toEqual(inOrder.map((_id, at) => inOrder.slice(at + 1)));
  });
});

/** Holds the account of one provider until the refund of a whole lead waits for it, and answers whose accounts the refund has not locked. */
async function freeWhileRefundWaits(leadId: string, of: { providerId: string; inOrder: readonly string[] }) {
  const { rows } = await world.db.query<{ id: string }>(sql`select id from v_assignment where lead_id = ${leadId}`);
  const input = { marked: refundMark(rows.map((row) => row.id)), ref: leadId, memo, actor: systemActor };
  const { refunding, free } = await world.db.transaction(async (tx) => {
    await tx.query(sql`select from account where provider_id = ${of.providerId} for no key update`);
    const refunding = world.db.transaction((other) => refund(other, input, world));
    await vi.waitFor(async () => {
      const waiting = await world.db.query(sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);
      expect(waiting.rowCount).toBe(1);
    }, 5_000);
    const free = await world.db.query<{ provider_id: string }>(sql`
      select provider_id from account where provider_id = any(${of.inOrder}::uuid[])
      order by provider_id for no key update skip locked`);
    return { refunding: [refunding], free: free.rows.map((row) => row.provider_id) };
  });
  expect((await Promise.all(refunding)).flat()).toHaveLength(of.inOrder.length);
  return free;
}
