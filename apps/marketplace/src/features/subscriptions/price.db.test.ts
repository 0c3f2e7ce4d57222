import { randomUUID } from 'node:crypto';
import { type Database, findBreaches, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeUser } from '../../testing/auth.ts';
import { brokenInvariants, sellLead } from '../../testing/distribution.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { nth } from '../../testing/nth.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { subscriptionInvariants } from './invariants.ts';
import { priceRoutes } from './price-routes.ts';
import { reactivateSubscriptions } from './reactivate.ts';

let world: TestWorld;
let db: Database;
let app: FastifyInstance;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  app = await openTestServer(world.log, {
    routes: (server) => priceRoutes(server, { db, log: world.log, now: world.now }),
  });
});
afterAll(async () => {
  await app.close();
  await world.close();
});

const memo = 'the market has moved';

async function ask(method: 'POST' | 'PUT', url: string, payload: object) {
  const headers = { ...signedInAs((await makeUser(db)).id, 'admin'), 'idempotency-key': randomUUID() };
  return app.inject({ method, url, headers, payload });
}

async function preview(levelId: string, price_cents: number) {
  return (await ask('POST', `/admin/levels/${levelId}/price-preview`, { price_cents })).json();
}

/** A change as somebody makes it who has just seen what it would do. */
async function change(levelId: string, price_cents: number, extra: object = {}) {
  const { plan_hash } = await preview(levelId, price_cents);
  return ask('PUT', `/admin/levels/${levelId}/price`, { price_cents, plan_hash, memo, ...extra });
}

/** A level of $20 whose subscribers have these balances; `ids` in their order. */
async function market(balances: readonly number[]) {
  const { id: nicheId } = await world.make.niche();
  const name = `Level of ${nicheId.slice(0, 8)}`;
  const { id: levelId } = await world.make.level({ nicheId, priceCents: 2_000, name, vclock: 400 });
  const ids: string[] = [];
  const providers: string[] = [];
  for (const cents of balances) {
    const { id: providerId } = await world.make.provider();
    if (cents > 0) await world.make.credit({ providerId, amountCents: cents });
    const status = cents >= 2_000 ? 'active' : 'paused_funds';
    ids.push((await world.make.subscription({ providerId, levelId, status })).id);
    providers.push(providerId);
  }
  return { nicheId, levelId, name, ids, providers };
}

async function statusesOf(ids: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string; status: string }>(
    sql`select id, status from subscription where id = any(${ids}::uuid[])`,
  );
  const by = new Map(rows.map((row) => [row.id, row.status]));
  return ids.map((id) => by.get(id) ?? 'gone');
}

describe('the preview of a price', () => {
  it('counts who could not pay it and who could again, beside what the level sells', async () => {
    const { nicheId, levelId, providers } = await market([2_000, 2_500, 9_000, 1_999]);
    const lead = await world.make.lead({ nicheId });
    await sellLead(db, lead.id, world);
    expect(await preview(levelId, 2_100)).toMatchObject({
      current: 2_000,
      change_pct: 5,
      // The sale has left the first two with less, and paused them.
      becomes_unfunded: { subscriptions: 0, providers: 0 },
      becomes_funded: 0,
      leads_30d: 1,
      revenue_30d_cents: 6_000,
    });
    expect(await preview(levelId, 400)).toMatchObject({ change_pct: -80, becomes_funded: 2 });
    expect(await preview(levelId, 8_000)).toMatchObject({ becomes_unfunded: { subscriptions: 1, providers: 1 } });
    expect(providers).toHaveLength(4);
  });

  it('changes nothing, and knows no level that is not there', async () => {
    const { levelId, ids } = await market([2_000]);
    await preview(levelId, 5_000);
    expect(await statusesOf(ids)).toEqual(['active']);
    expect((await ask('POST', `/admin/levels/${randomUUID()}/price-preview`, { price_cents: 500 })).statusCode).toBe(
      404,
    );
    expect((await ask('POST', `/admin/levels/${levelId}/price-preview`, { price_cents: 49 })).statusCode).toBe(400);
  });
});

describe('a new price', () => {
  it('pauses who cannot pay it and tells each once; back again it wakes them at the clock of the level', async () => {
    const { levelId, name, ids, providers } = await market([2_000, 2_500, 9_000, 1_000]);
    const up = await change(levelId, 2_600, { confirm: name });
    expect([up.statusCode, up.json()]).toEqual([200, { paused: 2, resumed: 0 }]);
    expect(await statusesOf(ids)).toEqual(['paused_funds', 'paused_funds', 'active', 'paused_funds']);
    const down = await change(levelId, 2_000);
    expect(down.json()).toEqual({ paused: 0, resumed: 2 });
    expect(await statusesOf(ids)).toEqual(['active', 'active', 'active', 'paused_funds']);
    const { rows: mails } = await db.query(sql`
      select template, count(*)::int as mails from email where related_id = any(${providers}::uuid[]) group by 1 order by 1`);
    expect(mails).toEqual([
      { template: 'subscriptions_paused', mails: 2 },
      { template: 'subscriptions_resumed', mails: 2 },
    ]);
    const { rows: places } = await db.query(sql`select vt from subscription where id = ${ids[0]}`);
    expect(places).toEqual([{ vt: 400 }]);
    const { rows: facts } = await db.query(sql`
      select payload -> 'from_cents' as from, payload -> 'to_cents' as to, payload -> 'paused' as paused from ops.event_outbox
      where type = 'level.price_changed' and aggregate_id = ${levelId} order by id`);
    expect(facts).toEqual([
      { from: 2_000, to: 2_600, paused: 2 },
      { from: 2_600, to: 2_000, paused: 0 },
    ]);
    const { rows: audited } = await db.query(sql`
      select reason, (details ->> 'from_cents')::int as from, (details ->> 'paused')::int as paused from ops.audit_log
      where action = 'level.price_changed' and target_id = ${levelId} order by seq limit 1`);
    expect(audited).toEqual([{ reason: memo, from: 2_000, paused: 2 }]);
  });

  it('leaves alone what its owner paused', async () => {
    const { levelId, ids } = await market([2_400]);
    await db.query(sql`update subscription set status = 'paused_user' where id = ${ids[0]}`);
    await change(levelId, 2_500);
    await change(levelId, 2_000);
    expect(await statusesOf(ids)).toEqual(['paused_user']);
  });

  it('needs the name of the level when it is large or leaves many without funds', async () => {
    const { levelId, name } = await market([2_000, 9_000]);
    const many = await change(levelId, 2_100);
    expect([many.statusCode, many.json().code, many.json().details.because]).toEqual([
      422,
      'approval_needed',
      ['many_unfunded'],
    ]);
    const large = await change(levelId, 280_000, { confirm: 'Another level' });
    expect(large.json().details.because).toEqual(['large_change', 'many_unfunded']);
    expect((await change(levelId, 280_000, { confirm: name })).json()).toEqual({ paused: 2, resumed: 0 });
  });

  it('is refused when the plan is no longer the one that was seen', async () => {
    const { levelId, providers } = await market([2_000, 9_000]);
    const { plan_hash } = await preview(levelId, 1_800);
    await change(levelId, 1_900);
    const late = await ask('PUT', `/admin/levels/${levelId}/price`, { price_cents: 1_800, plan_hash, memo });
    expect([late.statusCode, late.json().code]).toEqual([409, 'plan_drifted']);
    const seen = await preview(levelId, 2_050);
    await world.make.credit({ providerId: nth(providers, 0), amountCents: 1_000 });
    const other = await ask('PUT', `/admin/levels/${levelId}/price`, {
      price_cents: 2_050,
      plan_hash: seen.plan_hash,
      memo,
    });
    expect(other.statusCode).toBe(409);
  });

  it('of two at once one is made', async () => {
    const { levelId } = await market([9_000]);
    const { plan_hash } = await preview(levelId, 2_100);
    const answers = await Promise.all(
      [1, 2].map(() => ask('PUT', `/admin/levels/${levelId}/price`, { price_cents: 2_100, plan_hash, memo })),
    );
    expect(answers.map((answer) => String(answer.statusCode)).toSorted()).toEqual(['200', '409']);
  });

  it('waits for the sale under way, which charges the old price, and the next one charges the new', async () => {
    const { nicheId, levelId } = await market([50_000]);
    const leads = await Promise.all(Array.from({ length: 6 }, () => world.make.lead({ nicheId })));
    const [edit] = await Promise.all([change(levelId, 2_900), ...leads.map(({ id }) => sellLead(db, id, world))]);
    // A sale between preview and edit leaves who can pay as it was: nobody's balance crosses a price here.
    expect(edit?.statusCode).toBe(200);
    await sellLead(db, (await world.make.lead({ nicheId })).id, world);
    for (const one of subscriptionInvariants) expect((await findBreaches(db, one)).rows).toEqual([]);
    expect(await brokenInvariants(db)).toEqual({});
  });

  it('may leave one subscription asleep that a deposit paid in the middle, until the next reactivation', async () => {
    const { levelId, ids, providers } = await market([2_000, ...Array.from({ length: 25 }, () => 90_000)]);
    const { plan_hash } = await preview(levelId, 2_500);
    await db.transaction(async (tx) => {
      // The deposit has found nothing asleep, and has not committed.
      await tx.query(sql`update account set balance_cents = 7000 where provider_id = ${providers[0]}`);
      const edited = await ask('PUT', `/admin/levels/${levelId}/price`, { price_cents: 2_500, plan_hash, memo });
      expect(edited.json()).toEqual({ paused: 1, resumed: 0 });
    });
    expect(await statusesOf(ids.slice(0, 1))).toEqual(['paused_funds']);
    await reactivateSubscriptions({ db, runId: randomUUID(), log: world.log, metrics: world.metrics });
    expect(await statusesOf(ids.slice(0, 1))).toEqual(['active']);
    await db.query(sql`update account set balance_cents = 2000 where provider_id = ${providers[0]}`);
  });
});

describe('the invariant of prices', () => {
  it('is broken by a charge at another price than that of its moment', async () => {
    const { nicheId, levelId } = await market([50_000]);
    await sellLead(db, (await world.make.lead({ nicheId })).id, world);
    const broken = async () => {
      const [one] = subscriptionInvariants;
      return one ? (await findBreaches(db, one)).rows.filter((row) => row.level_id === levelId) : [];
    };
    expect(await broken()).toEqual([]);
    await db.query(sql`update level set price_cents = 2_100 where id = ${levelId}`);
    expect(await broken()).toMatchObject([{ charged_cents: 2_000, level_cents: 2_100 }]);
    await db.query(sql`update level set price_cents = 2_000 where id = ${levelId}`);
  });
});
