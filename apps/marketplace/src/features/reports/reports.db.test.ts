import { type Database, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { makeAssignments } from '../../testing/inbox.ts';
import { nth, present } from '../../testing/nth.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { reportFormulas } from './index.ts';
import { reportRoutes } from './report-routes.ts';

let world: TestWorld;
let db: Database;
let app: FastifyInstance;
let staffId: string;
let story: Awaited<ReturnType<typeof tell>>;

/** The noon by which the reports look. */
const now = new Date('2026-03-31T12:00:00Z');
const day = (date: number, hour = 12) => new Date(Date.UTC(2026, 2, date, hour));

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  app = await openTestServer(world.log, { routes: (server) => reportRoutes(server, { db, now: () => now }) });
  staffId = (await world.make.user()).id;
  await db.query(sql`alter table assignment disable trigger user`);
  story = await tell();
});
afterAll(async () => {
  await app.close();
  await world.close();
});

/**
 * One niche with a level for 4 at $10. On March 1 come three leads and one test lead: two are sold to two buyers each, on March 2 and 3, one
 * finds no buyer in Texas. On March 5 one more comes, and is never confirmed. Of the four sales one is viewed, reported and refunded, one
 * is accepted.
 */
async function tell() {
  const niche = await world.make.niche({ name: 'Roofing' });
  const level = await world.make.level({ nicheId: niche.id, name: 'Standard', priceCents: 1000, maxRecipients: 4 });
  const buyers = [];
  for (const company of ['Ada Roofs', 'Bob Roofs']) {
    const buyer = await world.make.provider({ company });
    await world.make.credit({ providerId: buyer.id });
    await world.make.subscription({ providerId: buyer.id, levelId: level.id, areas: ['US-CA'] });
    buyers.push(buyer);
  }
  const texas = await world.make.provider({ company: 'Tex Roofs' });
  await world.make.credit({ providerId: texas.id });
  const lead = (source: string | null, areaCodes?: string[]) =>
    world.make.lead({ nicheId: niche.id, createdAt: day(1), source, ...(areaCodes && { areaCodes }) });
  const sold = [await lead('search'), await lead(null)];
  const sales = [];
  for (const [at, { id }] of sold.entries()) {
    const assignments = await makeAssignments(db, id, world);
    await db.query(sql`update assignment set assigned_at = ${day(2 + at)} where lead_id = ${id}`);
    sales.push(...buyers.map((buyer) => present(assignments.get(buyer.id))));
  }
  const unsold = await lead('search', ['*', 'US', 'US-TX', 'US-750']);
  await makeAssignments(db, unsold.id, world);
  await db.query(sql`update lead set approved_at = created_at where approved_at is not null`);
  await world.make.lead({ nicheId: niche.id, createdAt: day(1), isTest: true });
  await world.make.lead({ nicheId: niche.id, createdAt: day(5), status: 'expired', source: 'search' });
  await db.query(sql`
    insert into inbox_mark (assignment_id, viewed_at, decision, decided_at) values
      (${nth(sales, 0)}, ${day(2, 13)}, null, null), (${nth(sales, 3)}, ${day(3, 15)}, 'accepted', ${day(3, 15)})`);
  await db.query(sql`update assignment set refunded_at = ${day(6)} where id = ${nth(sales, 0)}`);
  await db.query(sql`
    insert into bad_lead_report (assignment_id, provider_id, reason, status, via, reported_at, resolved_by, resolved_at, memo)
    values (${nth(sales, 0)}, ${nth(buyers, 0).id}, 'spam', 'approved', 'report', ${day(5)}, 'test', ${day(6)}, 'it was spam')`);
  return { niche, level, buyers, texas };
}

async function ask(query: string) {
  const { statusCode, json } = await app.inject({
    url: `/admin/reports/${query}`,
    headers: signedInAs(staffId, 'admin'),
  });
  return { status: statusCode, body: json() };
}

async function rows(query: string): Promise<Record<string, unknown>[]> {
  const { status, body } = await ask(query);
  expect([query, status, body.details]).toEqual([query, 200, undefined]);
  return body.items;
}

describe('every report', () => {
  it('says which clock, range and groups it used', async () => {
    const { body } = await ask('revenue?from=2026-03-01&clock=created&by=niche');
    expect(body).toMatchObject({
      report: 'revenue',
      clock: 'created',
      by: 'niche',
      from: '2026-03-01T00:00:00.000Z',
      to: now.toISOString(),
      truncated: false,
    });
    expect((await ask('coverage')).body).toMatchObject({ clock: null, by: 'state' });
  });

  it('answers a bad range with what is valid', async () => {
    for (const name of Object.keys(reportFormulas)) {
      const { status, body } = await ask(`${name}?from=2026-03-02&to=2026-03-01`);
      expect([name, status, body.details?.faults]).toEqual([
        name,
        400,
        [{ at: 'query.to', message: 'must be after `from`' }],
      ]);
    }
    expect((await ask('starvation?from=2026-01-01')).body.details.faults[0].message).toContain('31 days');
    expect((await ask('kpis?by=colour')).status).toBe(400);
    expect((await ask('kpis?clock=paid')).status).toBe(400);
  });

  it('has a formula for each of its fields, and no other', async () => {
    for (const [name, { fields }] of Object.entries(reportFormulas)) {
      const [row] = await rows(name);
      if (row) expect([name, Object.keys(row).toSorted()]).toEqual([name, Object.keys(fields).toSorted()]);
    }
  });
});

describe('kpis', () => {
  it('follow the leads of a time by the clock created', async () => {
    expect(await rows('kpis')).toEqual([
      {
        key: 'total',
        label: 'total',
        leads: 4,
        confirmed: 3,
        approved: 3,
        sold: 2,
        sell_through: 0.6667,
        assignments: 4,
        offered: 12,
        fill: 0.3333,
        revenue_cents: 4000,
        refunds: 1,
        refund_cents: 1000,
        refund_rate: 0.25,
        refund_rate_cents: 0.25,
      },
    ]);
    expect((await rows('kpis?by=day')).map(({ key, leads, sold }) => [key, leads, sold])).toEqual([
      ['2026-03-01', 3, 2],
      ['2026-03-05', 1, 0],
    ]);
  });

  it('count each thing on its own day by the clock sold', async () => {
    const days = await rows('kpis?by=day&clock=sold');
    expect(
      days.map(({ key, leads, approved, sold, assignments }) => [key, leads, approved, sold, assignments]),
    ).toEqual([
      ['2026-03-01', 3, 3, 0, 0],
      ['2026-03-02', 0, 0, 1, 2],
      ['2026-03-03', 0, 0, 1, 2],
      ['2026-03-05', 1, 0, 0, 0],
    ]);
  });

  it('are the same in sum by both clocks when the range holds all', async () => {
    const [created] = await rows('kpis');
    const [sold] = await rows('kpis?clock=sold');
    expect(sold).toEqual(created);
    expect(await rows('kpis?by=niche')).toEqual([{ ...created, key: story.niche.id, label: 'Roofing' }]);
  });
});

it('the funnel tells where leads are lost', async () => {
  expect(await rows('funnel')).toEqual([
    {
      key: 'total',
      label: 'total',
      submitted: 4,
      confirmed: 3,
      approved: 3,
      sold: 2,
      viewed: 2,
      accepted: 1,
      bad: 0,
      rejected: 0,
      expired: 1,
      unsold: 1,
    },
  ]);
  expect((await rows('funnel?by=source')).map(({ key, submitted, sold }) => [key, submitted, sold])).toEqual([
    ['search', 3, 1],
    ['(none)', 1, 1],
  ]);
  expect((await rows('funnel?clock=sold&by=day')).map(({ key, submitted }) => [key, submitted])).toEqual([
    ['2026-03-02', 1],
    ['2026-03-03', 1],
  ]);
});

describe('revenue', () => {
  it('is that of the day of the sale, less what was refunded later', async () => {
    expect(await rows('revenue')).toEqual([
      {
        key: '2026-03-02',
        label: '2026-03-02',
        leads: 1,
        assignments: 2,
        gross_cents: 2000,
        refunds: 1,
        refund_cents: 1000,
        net_cents: 1000,
        net_per_lead_cents: 1000,
      },
      expect.objectContaining({ key: '2026-03-03', gross_cents: 2000, refunds: 0, net_cents: 2000 }),
    ]);
  });

  it.each([
    ['week', ['2026-W10'], 'sold'],
    ['month', ['2026-03'], 'sold'],
    ['niche', ['Roofing'], 'sold'],
    ['level', ['Roofing, Standard'], 'sold'],
    ['provider', ['Ada Roofs', 'Bob Roofs'], 'sold'],
    ['source', ['(none)', 'search'], 'created'],
  ])('by %s is %j', async (by, labels, clock) => {
    const groups = await rows(`revenue?by=${by}&clock=${clock}`);
    expect(groups.map(({ label }) => String(label)).toSorted()).toEqual(labels);
    expect(groups.reduce((sum, { gross_cents }) => sum + Number(gross_cents), 0)).toBe(4000);
  });

  it('keeps to its range', async () => {
    expect(await rows('revenue?from=2026-03-03&to=2026-03-04')).toHaveLength(1);
    expect(await rows('revenue?from=2026-03-04')).toEqual([]);
  });
});

it('coverage names where nobody bought, and who serves there', async () => {
  const gap = { niche_id: story.niche.id, niche: 'Roofing', approved: 1, unsold: 1, unsold_share: 1 };
  expect(await rows('coverage')).toEqual([{ ...gap, area: 'US-TX', active_subscriptions: 0 }]);
  expect(await rows('coverage?by=prefix')).toEqual([{ ...gap, area: 'US-750', active_subscriptions: 0 }]);
});

it('starvation finds who was passed over although leads matched, and nobody else', async () => {
  const { level, texas } = story;
  const { id } = await world.make.subscription({ providerId: texas.id, levelId: level.id, areas: ['US-TX'] });
  const poor = await world.make.provider();
  const others = [
    { providerId: poor.id, areas: ['US-TX'] },
    { providerId: (await world.make.provider()).id, areas: ['US-TX'], status: 'paused_user' as const },
  ];
  for (const other of others) await world.make.subscription({ levelId: level.id, ...other });
  await db.query(sql`update subscription set created_at = ${day(-10)}`);
  const range = 'starvation?from=2026-02-25&to=2026-03-10';
  const [found, ...more] = await rows(range);
  expect(found).toMatchObject({ subscription_id: id, company: 'Tex Roofs', matched_leads: 1, last_served_at: null });
  expect(found).toMatchObject({ days_unserved: 19, balance_cents: 100_000, price_cents: 1000 });
  expect(more).toEqual([]);
  await db.query(
    sql`update subscription set filter_rules = '[{"field":"roof","op":"eq","value":"flat"}]' where id = ${id}`,
  );
  expect(await rows(range)).toEqual([]);
});

it('starvation says that it has not looked at everybody, when more than 1,000 wait longer', async () => {
  const { level, texas } = story;
  await db.query(sql`
    with crowded as (
      insert into niche (slug, name) select 'crowded-' || n, 'Crowded' from generate_series(1, 100) n returning id),
    made as (
      insert into level (niche_id, name, ord, price_cents, max_recipients)
      select id, 'Level ' || n, n, 1000, 4 from crowded, generate_series(1, 10) n returning id)
    insert into subscription (id, provider_id, level_id, status, created_at)
    select gen_random_uuid(), ${texas.id}, id, 'active', ${day(-20)} from made`);
  const range = 'starvation?from=2026-02-25&to=2026-03-10';
  const missed = await world.make.provider();
  await world.make.credit({ providerId: missed.id });
  await db.query(
    sql`update subscription set status = 'cancelled' where provider_id <> ${texas.id} or level_id = ${level.id}`,
  );
  expect((await ask(range)).body).toMatchObject({ items: [], truncated: false });
  const { id } = await world.make.subscription({ providerId: missed.id, levelId: level.id, areas: ['US-TX'] });
  await db.query(sql`update subscription set created_at = ${day(-10)} where id = ${id}`);
  expect((await ask(range)).body).toMatchObject({ items: [], truncated: true });
  await db.query(sql`update subscription set status = 'cancelled' where provider_id = ${texas.id}`);
  const { body } = await ask(range);
  expect([body.items.map((item: { subscription_id: string }) => item.subscription_id), body.truncated]).toEqual([
    [id],
    false,
  ]);
});

it('providers are shown by what they make of their leads', async () => {
  const [first, second] = await rows('providers');
  expect([first, second].map((row) => String(row?.company)).toSorted()).toEqual(['Ada Roofs', 'Bob Roofs']);
  const ada = [first, second].find((row) => row?.company === 'Ada Roofs');
  expect(ada).toMatchObject({
    assignments: 2,
    spent_cents: 2000,
    view_rate: 0.5,
    accept_rate: 0,
    median_view_minutes: 60,
  });
  expect(ada).toMatchObject({ reports: 1, report_rate: 0.5, approval_rate: 1, refunds: 1, refund_rate: 0.5 });
});

it('sources are shown by what their leads are worth', async () => {
  expect(
    (await rows('sources')).map(({ source, leads, sold, revenue_cents, reports }) => [
      source,
      leads,
      sold,
      revenue_cents,
      reports,
    ]),
  ).toEqual([
    ['search', 3, 1, 2000, 1],
    ['(none)', 1, 1, 2000, 0],
  ]);
});

it('bad leads are compared with all sales of their group', async () => {
  expect(await rows('bad-leads')).toEqual([
    {
      key: 'spam',
      label: 'spam',
      assignments: 4,
      reports: 1,
      report_rate: 0.25,
      pending: 0,
      approved: 1,
      rejected: 0,
      approval_rate: 1,
      other_refunds: 0,
      refund_cents: 1000,
    },
  ]);
  expect(
    (await rows('bad-leads?by=source')).map(({ key, assignments, reports }) => [key, assignments, reports]),
  ).toEqual([['search', 2, 1]]);
});
