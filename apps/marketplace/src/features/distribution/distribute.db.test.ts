import { type Database, sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCredit } from '../../testing/billing.ts';
import { brokenInvariants, sellLead } from '../../testing/distribution.ts';
import { makeLead } from '../../testing/leads.ts';
import { nth } from '../../testing/nth.ts';
import {
  makeLevel,
  makeNiche,
  makeProvider,
  makeSubscription,
  type SubscriptionOverrides,
} from '../../testing/subscriptions.ts';
import { openTestWorld } from '../../testing/world.ts';
import { distributeLead, type DistributionDeps } from './distribute.ts';
import { listRuns, readSales } from './runs.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;
let db: Database;
let deps: DistributionDeps;

const runsOf = async (leadId: string) => (await listRuns(db, { leadId, limit: 50 })).items;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  deps = { metrics: world.metrics, log: world.log, now: () => new Date() };
});
afterAll(() => world.close());

/** A niche of one level and a buyer for each overrides given. */
async function market(
  buyers: (Omit<SubscriptionOverrides, 'providerId' | 'levelId'> & { cents?: number; tz?: string })[],
  level: { priceCents?: number; maxRecipients?: number } = {},
) {
  const niche = await makeNiche(db);
  const { id: levelId } = await makeLevel(db, { nicheId: niche.id, ...level });
  const made = [];
  for (const { cents = 100_000, tz, ...terms } of buyers) made.push(await buyer({ ...terms, levelId }, cents, tz));
  return { nicheId: niche.id, levelId, buyers: made };
}

async function buyer(terms: Omit<SubscriptionOverrides, 'providerId'>, cents: number, tz = 'UTC') {
  const provider = await makeProvider(db, { tz });
  if (cents > 0) await makeCredit(db, { providerId: provider.id, amountCents: cents }, deps);
  const subscription = await makeSubscription(db, { providerId: provider.id, ...terms });
  return { providerId: provider.id, subscriptionId: subscription.id };
}

async function balanceOf(providerId: string): Promise<number> {
  const { rows } = await db.query<{ balance_cents: number }>(
    sql`select balance_cents from v_account where provider_id = ${providerId}`,
  );
  return rows[0]?.balance_cents ?? 0;
}

async function statusOf(subscriptionId: string): Promise<string | undefined> {
  const { rows } = await db.query<{ status: string }>(
    sql`select status from v_subscription where id = ${subscriptionId}`,
  );
  return rows[0]?.status;
}

async function buyersOf(leadId: string): Promise<string[]> {
  return (await readSales(db, leadId)).assignments.map((one) => one.provider_id);
}

describe('selling a lead', () => {
  it('charges each buyer the price, records the assignment, and tells them by mail', async () => {
    const { nicheId, levelId, buyers } = await market([{}, {}], { priceCents: 2800 });
    const lead = await makeLead(db, { nicheId });
    const { outcome, assigned } = await sellLead(db, lead.id, deps);
    expect({ outcome, assigned }).toEqual({ outcome: 'distributed', assigned: 2 });
    const { assignments } = await readSales(db, lead.id);
    expect(assignments.map(({ level_id, price_cents, slot }) => ({ level_id, price_cents, slot }))).toEqual([
      { level_id: levelId, price_cents: 2800, slot: 1 },
      { level_id: levelId, price_cents: 2800, slot: 2 },
    ]);
    for (const { providerId } of buyers) expect(await balanceOf(providerId)).toBe(97_200);
    const { rows } = await db.query(sql`
      select template, related_id from v_email where related_id = any(${assignments.map((one) => one.id)}::uuid[])`);
    expect(rows).toHaveLength(2);
    const { rows: leads } = await db.query(
      sql`select status, assigned_count, recipient_cap, start_ord from v_lead where id = ${lead.id}`,
    );
    expect(leads).toEqual([{ status: 'distributed', assigned_count: 2, recipient_cap: 5, start_ord: 1 }]);
  });

  it('does nothing the second time, for an older sale number, and for a test lead', async () => {
    const { nicheId } = await market([{}, {}]);
    const lead = await makeLead(db, { nicheId });
    await sellLead(db, lead.id, deps);
    expect(await sellLead(db, lead.id, deps)).toEqual({ outcome: 'noop', assigned: 0 });
    const other = await makeLead(db, { nicheId, saleNo: 3 });
    const outdated = { leadId: other.id, saleNo: 2, attempt: 1 };
    expect(await db.transaction((tx) => distributeLead(tx, outdated, deps))).toEqual({ outcome: 'noop', assigned: 0 });
    const test = await makeLead(db, { nicheId, isTest: true });
    expect(await sellLead(db, test.id, deps)).toEqual({ outcome: 'noop', assigned: 0 });
    expect(await runsOf(lead.id)).toHaveLength(1);
  });

  it('fails for good when there is no such lead', async () => {
    const gone = { leadId: '00000000-0000-4000-8000-000000000000', saleNo: 1, attempt: 1 };
    await expect(db.transaction((tx) => distributeLead(tx, gone, deps))).rejects.toThrow('lead missing');
  });

  it('leaves no more than a record while the niche is paused', async () => {
    const { nicheId, buyers } = await market([{}]);
    const lead = await makeLead(db, { nicheId });
    await db.query(sql`update niche set status = 'paused' where id = ${nicheId}`);
    expect((await sellLead(db, lead.id, deps)).outcome).toBe('niche_paused');
    expect(await balanceOf(nth(buyers, 0).providerId)).toBe(100_000);
    const { rows } = await db.query(sql`select status, sale_no from v_lead where id = ${lead.id}`);
    expect(rows).toEqual([{ status: 'approved', sale_no: 1 }]);
  });

  it('plans another try when nobody buys, and that try starts at the same level without moving the rotation', async () => {
    const { nicheId, levelId } = await market([{ areas: ['US-NY'] }]);
    await makeLevel(db, { nicheId });
    const lead = await makeLead(db, { nicheId });
    expect((await sellLead(db, lead.id, deps)).outcome).toBe('unsold');
    const { rows: jobs } = await db.query(
      sql`select run_key from ops.job_run where run_key = ${`distribute-${lead.id}-2`}`,
    );
    expect(jobs).toHaveLength(1);
    await buyer({ levelId }, 5_000);
    expect((await sellLead(db, lead.id, deps)).outcome).toBe('distributed');
    const runs = await runsOf(lead.id);
    expect(runs.map(({ trigger, start_ord, outcome }) => ({ trigger, start_ord, outcome }))).toEqual([
      { trigger: 'approved', start_ord: 1, outcome: 'unsold' },
      { trigger: 'retry', start_ord: 1, outcome: 'distributed' },
    ]);
    const { rows } = await db.query(sql`select next_start_ord from rotation where niche_id = ${nicheId}`);
    expect(rows).toEqual([{ next_start_ord: 2 }]);
  });

  it('starts each lead of a niche one level further', async () => {
    const { nicheId } = await market([]);
    for (const maxRecipients of [1, 3]) await makeLevel(db, { nicheId, maxRecipients });
    const starts = [];
    for (let at = 0; at < 4; at += 1) {
      const lead = await makeLead(db, { nicheId });
      await sellLead(db, lead.id, deps);
      starts.push((await runsOf(lead.id))[0]?.start_ord);
    }
    expect(starts).toEqual([1, 2, 3, 1]);
  });

  it('fills places left at one level from the next, and never beyond the smaller promise', async () => {
    const { nicheId } = await market([{}, {}], { maxRecipients: 5 });
    const { id: levelId } = await makeLevel(db, { nicheId, maxRecipients: 3, priceCents: 2800 });
    for (let at = 0; at < 3; at += 1) await buyer({ levelId }, 10_000);
    const lead = await makeLead(db, { nicheId });
    await sellLead(db, lead.id, deps);
    const { assignments } = await readSales(db, lead.id);
    expect(assignments.map(({ slot, price_cents }) => [slot, price_cents])).toEqual([
      [1, 1500],
      [2, 1500],
      [3, 2800],
    ]);
  });

  it('sells only where area, filter, provider and the lead fit', async () => {
    const { nicheId, levelId, buyers } = await market(
      [
        { areas: ['US-CA'] },
        { areas: ['US-941', 'US-NY'] },
        { areas: ['US-NY'] },
        { filterRules: [{ field: 'rooms', op: 'gte', value: 4 }] },
        { filterRules: [{ field: 'rooms', op: 'gte', value: 5 }] },
        { status: 'paused_user' },
      ],
      { maxRecipients: 20 },
    );
    const suspended = await buyer({ levelId }, 50_000);
    await db.query(sql`update provider set status = 'suspended' where id = ${suspended.providerId}`);
    const lead = await makeLead(db, { nicheId, form: { rooms: 4 } });
    await sellLead(db, lead.id, deps);
    const expected = [0, 1, 3].map((at) => nth(buyers, at).providerId);
    expect((await buyersOf(lead.id)).toSorted()).toEqual(expected.toSorted());
  });

  it('finds one buyer behind hundreds whose filters refuse the lead', async () => {
    const refusing = [{ field: 'rooms', op: 'eq', value: 99 }];
    const { nicheId, levelId } = await market([]);
    for (let at = 0; at < 40; at += 1)
      await makeSubscription(db, { providerId: (await makeProvider(db)).id, levelId, filterRules: refusing });
    const one = await buyer({ levelId, vt: 5_000 }, 5_000);
    const lead = await makeLead(db, { nicheId, form: { rooms: 2 } });
    await sellLead(db, lead.id, deps);
    expect(await buyersOf(lead.id)).toEqual([one.providerId]);
    expect((await runsOf(lead.id))[0]?.steps[0]).toMatchObject({ examined: 41, candidates: 1, served: 1 });
  });
});

describe('money', () => {
  it('pauses whoever stood before the last buyer and cannot pay, tells them, and serves the next', async () => {
    const { nicheId, buyers } = await market([{ cents: 100, vt: 1 }, { vt: 2 }, { cents: 0, vt: 3 }], {
      maxRecipients: 1,
    });
    const lead = await makeLead(db, { nicheId });
    await sellLead(db, lead.id, deps);
    expect(await buyersOf(lead.id)).toEqual([nth(buyers, 1).providerId]);
    expect(await Promise.all(buyers.map((one) => statusOf(one.subscriptionId)))).toEqual([
      'paused_funds',
      'active',
      'active',
    ]);
    const { rows } = await db.query(sql`
      select template from v_email where related_id = ${nth(buyers, 0).providerId} and template = 'subscriptions_paused'`);
    expect(rows).toHaveLength(1);
    expect((await runsOf(lead.id))[0]?.skipped).toEqual({ insufficient_balance: 1 });
  });

  it('pauses the other subscriptions a buyer can no longer pay', async () => {
    const { nicheId, buyers } = await market([{ cents: 2_000 }]);
    const { providerId } = nth(buyers, 0);
    const { id: dear } = await makeLevel(db, { nicheId, priceCents: 600 });
    const other = await makeSubscription(db, { providerId, levelId: dear });
    await sellLead(db, (await makeLead(db, { nicheId })).id, deps);
    expect(await balanceOf(providerId)).toBe(500);
    expect([await statusOf(nth(buyers, 0).subscriptionId), await statusOf(other.id)]).toEqual([
      'paused_funds',
      'paused_funds',
    ]);
  });

  it('notes a balance that falls below its threshold once, and again only after it was above', async () => {
    const { nicheId, buyers } = await market([{ cents: 0 }]);
    const { providerId } = nth(buyers, 0);
    const lowMails = async () => {
      const { rows } = await db.query(
        sql`select id from v_email where related_id = ${providerId} and template = 'low_balance'`,
      );
      return rows.length;
    };
    await makeCredit(db, { providerId, amountCents: 10_000, lowBalanceCents: 8_000 }, deps);
    const sold = [];
    for (let at = 0; at < 3; at += 1) {
      await sellLead(db, (await makeLead(db, { nicheId })).id, deps);
      sold.push(await lowMails());
    }
    expect(sold).toEqual([0, 1, 1]);
    await makeCredit(db, { providerId, amountCents: 4_000 }, deps);
    await sellLead(db, (await makeLead(db, { nicheId })).id, deps);
    expect(await lowMails()).toBe(1);
    await sellLead(db, (await makeLead(db, { nicheId })).id, deps);
    expect(await lowMails()).toBe(2);
  });

  it('sweeps a level nobody can pay, once, and then sells to who still can', async () => {
    const { nicheId, buyers, levelId } = await market(
      Array.from({ length: 8 }, (_one, at) => ({ cents: 0, vt: at })),
      { maxRecipients: 1 },
    );
    const payer = await buyer({ levelId, vt: 100 }, 5_000);
    const lead = await makeLead(db, { nicheId });
    const before = world.metrics.counts.levelSweeps ?? 0;
    await sellLead(db, lead.id, deps);
    expect(await buyersOf(lead.id)).toEqual([payer.providerId]);
    expect(new Set(await Promise.all(buyers.map((one) => statusOf(one.subscriptionId))))).toEqual(
      new Set(['paused_funds']),
    );
    expect((world.metrics.counts.levelSweeps ?? 0) - before).toBe(1);
  });
});

describe('daily caps', () => {
  it('ends with the cap of the day, and begins anew on the next', async () => {
    const { nicheId, buyers } = await market([{ dailyCap: 2 }]);
    const sell = async () => (await sellLead(db, (await makeLead(db, { nicheId })).id, deps)).outcome;
    expect([await sell(), await sell(), await sell()]).toEqual(['distributed', 'distributed', 'unsold']);
    await db.query(sql`update subscription set day_key = day_key - 1 where id = ${nth(buyers, 0).subscriptionId}`);
    await db.query(sql`alter table assignment disable trigger user`);
    await db.query(
      sql`update assignment set cap_day = cap_day - 1 where subscription_id = ${nth(buyers, 0).subscriptionId}`,
    );
    await db.query(sql`alter table assignment enable trigger user`);
    expect(await sell()).toBe('distributed');
  });

  it('counts the day of the provider, which a change of zone never turns back', async () => {
    const { nicheId, buyers } = await market([{ dailyCap: 1, tz: 'Pacific/Kiritimati' }]);
    const { providerId, subscriptionId } = nth(buyers, 0);
    const sell = async () => (await sellLead(db, (await makeLead(db, { nicheId })).id, deps)).outcome;
    expect(await sell()).toBe('distributed');
    await db.query(sql`update provider set tz = 'Pacific/Pago_Pago' where id = ${providerId}`);
    expect(await sell()).toBe('unsold');
    const { rows } = await db.query(sql`
      select day_key = (clock_timestamp() at time zone 'Pacific/Kiritimati')::date as kept from v_subscription where id = ${subscriptionId}`);
    expect(rows).toEqual([{ kept: true }]);
  });
});

describe('fairness', () => {
  it('serves each of equal subscriptions once before any twice', async () => {
    const { nicheId } = await market(
      Array.from({ length: 12 }, () => ({})),
      { maxRecipients: 3 },
    );
    const served = new Map<string, number>();
    for (let at = 0; at < 4; at += 1) {
      const lead = await makeLead(db, { nicheId });
      await sellLead(db, lead.id, deps);
      for (const id of await buyersOf(lead.id)) served.set(id, (served.get(id) ?? 0) + 1);
    }
    expect([...served.values()]).toEqual(Array.from({ length: 12 }, () => 1));
  });
});

describe('what a sale leaves behind', () => {
  it('tells the facts under the correlation of the lead, and no personal data', async () => {
    const { nicheId } = await market([{}]);
    const lead = await makeLead(db, { nicheId });
    await sellLead(db, lead.id, deps);
    const { rows } = await db.query<{ type: string; payload: object }>(sql`
      select type, payload from ops.event_outbox where correlation_id = ${lead.correlationId} order by id`);
    expect(rows.map((row) => row.type)).toEqual(['lead.distributed', 'assignment.created', 'balance.charged']);
    expect(JSON.stringify(rows)).not.toContain('@');
    const { rows: jobs } = await db.query(
      sql`select queue from ops.job_run where correlation_id = ${lead.correlationId}`,
    );
    expect(jobs).toEqual([{ queue: 'email_send' }]);
  });

  it('keeps every invariant', async () => {
    expect(await brokenInvariants(db)).toEqual({});
  });
});
