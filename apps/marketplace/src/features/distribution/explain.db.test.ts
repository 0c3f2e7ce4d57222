import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokenInvariants, sellLead } from '../../testing/distribution.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import type { LeadOverrides } from '../../testing/leads.ts';
import type { SubscriptionOverrides } from '../../testing/subscriptions.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { eraseLead } from '../leads/index.ts';
import { explainLead } from './explain.ts';
import { distributionRoutes } from './routes.ts';
import { readSales } from './runs.ts';

let world: TestWorld;
let app: FastifyInstance;
beforeAll(async () => {
  world = await openTestWorld();
  app = await openTestServer(world.log, { routes: (server) => distributionRoutes(server, world) });
});
afterAll(async () => {
  await app?.close();
  await world?.close();
});

const actor = { id: 'ada', name: 'Ada', via: 'http' } as const;
const rooms = (value: number) => [{ field: 'rooms', op: 'gte', value }];

async function market() {
  const { make } = world;
  const niche = await make.niche();
  const level = await make.level({ nicheId: niche.id, priceCents: 500, maxRecipients: 20 });
  const add = async (
    { cents = 10_000, status }: { cents?: number; status?: 'active' | 'suspended' },
    terms: Partial<SubscriptionOverrides> = {},
  ) => {
    const provider = await make.provider(status ? { status } : {});
    if (cents > 0) await make.credit({ providerId: provider.id, amountCents: cents });
    const { id } = await make.subscription({ providerId: provider.id, levelId: level.id, ...terms });
    return { id, providerId: provider.id };
  };
  const lead = (more: Partial<LeadOverrides> = {}) => make.lead({ nicheId: niche.id, form: { rooms: 3 }, ...more });
  return { niche, level, add, lead };
}

const none = { provider: 0, paused: 0, bought: 0, area: 0, cap: 0, funds: 0, filter: 0 };

describe('why a lead is bought or not', () => {
  it('names the first thing against each subscription, and those against which nothing else stands', async () => {
    const { niche, level, add, lead } = await market();
    const { id } = await lead();
    await add({});
    await add({ status: 'suspended' });
    await add({}, { status: 'paused_user' });
    const near = await add({}, { areas: ['US-NY'] });
    await add({}, { areas: ['US-NY'], filterRules: rooms(4) });
    await add({ cents: 0 }, { areas: ['US-NY'] });
    await add({ cents: 100 });
    await add({ cents: 0 }, { status: 'paused_funds' });
    await add({}, { filterRules: rooms(4) });
    await add({}, { filterRules: rooms(3) });
    await add({}, { status: 'cancelled' });
    const capped = await add({}, { dailyCap: 1 });
    await world.db.query(sql`
      update subscription set day_n = 1, day_key = (now() at time zone 'UTC')::date where id = ${capped.id}`);
    const answer = await app.inject({ url: `/admin/leads/${id}/explain`, headers: signedInAs(randomUUID(), 'admin') });
    expect([answer.statusCode, answer.json()]).toMatchObject([
      200,
      {
        lead_id: id,
        status: 'approved',
        held_by: null,
        complete: true,
        levels: [
          {
            level_id: level.id,
            slots: 20,
            subscriptions: 11,
            eligible: 2,
            by_reason: { provider: 1, paused: 1, bought: 0, area: 3, cap: 1, funds: 2, filter: 1 },
            near_misses: { provider: 1, paused: 1, bought: 0, area: 1, cap: 1, funds: 2, filter: 1 },
          },
        ],
      },
    ]);
    expect(answer.json().nearest).toHaveLength(7);
    expect(answer.json().nearest).toContainEqual({
      subscription_id: near.id,
      provider_id: near.providerId,
      company: 'Test Roofing',
      level_id: level.id,
      reason: 'area',
    });
    await world.db.query(sql`update niche set status = 'paused' where id = ${niche.id}`);
    expect(await explainLead(world.db, id)).toMatchObject({ held_by: 'niche_paused' });
  });

  it('agrees with the sale: who is eligible before it has bought after it', async () => {
    const { add, lead } = await market();
    const { id } = await lead();
    await Promise.all(
      Array.from({ length: 24 }, (_, n) =>
        add(
          { cents: n % 3 === 0 ? 100 : 900, status: n % 7 === 0 ? 'suspended' : 'active' },
          {
            areas: [n % 2 === 0 ? 'US-CA' : n % 5 === 0 ? '*' : 'US-NY'],
            filterRules: n % 4 === 0 ? rooms(n % 8) : null,
          },
        ),
      ),
    );
    const before = await explainLead(world.db, id);
    const { assigned } = await sellLead(world.db, id, world);
    expect(assigned).toBe(before.levels[0]?.eligible);
    expect(assigned).toBeGreaterThan(2);
    const after = await explainLead(world.db, id);
    expect(after).toMatchObject({ held_by: 'status', levels: [{ eligible: 0, slots: 20 - assigned }] });
    expect(after.levels[0]?.by_reason.bought).toBe(assigned);
  });

  it('says that it is not complete when there is no time for all', async () => {
    const { lead } = await market();
    const { id } = await lead();
    await world.db.transaction(async (tx) => {
      await tx.query(sql`lock table subscription in access exclusive mode`);
      expect(await explainLead(world.db, id, { withinMs: 50 })).toMatchObject({
        complete: false,
        levels: [],
        nearest: [],
      });
    });
    expect(await explainLead(world.db, id)).toMatchObject({ complete: true });
  });

  it('says of a test lead, an erased one and one without levels what keeps it', async () => {
    const { lead } = await market();
    const test = await lead({ isTest: true });
    expect(await explainLead(world.db, test.id)).toMatchObject({ held_by: 'test', levels: [{ near_misses: none }] });
    const { id } = await lead();
    await world.db.transaction((tx) => eraseLead(tx, { leadId: id, actor, memo: 'They asked us to' }, world));
    expect(await explainLead(world.db, id)).toMatchObject({ held_by: 'erased' });
    const bare = await world.make.lead({ nicheId: (await world.make.niche()).id });
    expect(await explainLead(world.db, bare.id)).toMatchObject({ levels: [], nearest: [], complete: true });
    const missing = await app.inject({
      url: `/admin/leads/${randomUUID()}/explain`,
      headers: signedInAs(randomUUID(), 'admin'),
    });
    expect(missing.statusCode).toBe(404);
  });
});

describe('an erasure that meets a sale', () => {
  it('comes before it or after it: a lead that was erased is never sold, and one that was sold keeps its sales', async () => {
    const { add, lead } = await market();
    const buyers = await Promise.all([add({}), add({})]);
    const leads = await Promise.all(Array.from({ length: 12 }, () => lead()));
    await Promise.all(
      leads.flatMap(({ id }) => [
        sellLead(world.db, id, world),
        world.db.transaction((tx) => eraseLead(tx, { leadId: id, actor, memo: 'They asked us to' }, world)),
      ]),
    );
    const { rows } = await world.db.query<{ status: string; sold: number; named: boolean; erased: boolean }>(sql`
      select l.status, l.email is not null as named, l.erased_at is not null as erased,
             (select count(*)::int from v_assignment a where a.lead_id = l.id) as sold
      from lead l where id = any(${leads.map(({ id }) => id)}::uuid[])`);
    for (const { status, sold, ...person } of rows) {
      expect(person).toEqual({ named: false, erased: true });
      expect([status, sold]).toEqual(sold > 0 ? ['distributed', buyers.length] : ['rejected', 0]);
    }
    expect(await brokenInvariants(world.db)).toEqual({});
  });

  it('leaves the sale with all that was paid, mailed and given back', async () => {
    const { add, lead } = await market();
    await add({});
    const { id } = await lead();
    await sellLead(world.db, id, world);
    await world.db.transaction((tx) => eraseLead(tx, { leadId: id, actor, memo: 'They asked us to' }, world));
    const { assignments } = await readSales(world.db, id);
    expect(assignments).toMatchObject([
      {
        company: 'Test Roofing',
        price_cents: 500,
        refund: null,
        report: null,
        mail: { status: 'queued' },
        decision: null,
      },
    ]);
  });
});
