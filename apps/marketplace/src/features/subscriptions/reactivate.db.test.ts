import { randomUUID } from 'node:crypto';
import { type Database, sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nth } from '../../testing/nth.ts';
import { planOf } from '../../testing/plan.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { fundableStatement, reactivateStatement } from './reactivation-queries.ts';
import { type ReactivationOptions, reactivateSubscriptions } from './reactivate.ts';

let world: TestWorld;
let db: Database;
let levelId: string;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  levelId = (await world.make.level({ nicheId: (await world.make.niche()).id, priceCents: 1_000, vclock: 700 })).id;
});
afterAll(() => world.close());

const run = (options: Partial<ReactivationOptions> = {}) =>
  reactivateSubscriptions({ db, runId: randomUUID(), log: world.log, metrics: world.metrics, ...options });

/** A sleeping subscription whose provider has the money. */
async function asleep({
  status = 'paused_funds',
  at = levelId,
  cents = 1_000,
  provider = {},
}: {
  status?: 'paused_funds' | 'paused_user' | 'paused_admin' | 'cancelled';
  at?: string;
  cents?: number;
  provider?: Parameters<TestWorld['make']['provider']>[0];
} = {}) {
  const { id: providerId } = await world.make.provider(provider);
  if (cents > 0) await world.make.credit({ providerId, amountCents: cents });
  const { id } = await world.make.subscription({ providerId, levelId: at, status });
  return { id, providerId };
}

async function stillAsleep(): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    sql`select count(*)::int as count from subscription where status = 'paused_funds'`,
  );
  return nth(rows, 0).count;
}

async function statusOf(id: string): Promise<string> {
  const { rows } = await db.query<{ status: string }>(sql`select status from subscription where id = ${id}`);
  return nth(rows, 0).status;
}

describe('reactivation', () => {
  it('wakes what the balance pays, behind those who were served meanwhile, with a fact and one mail a provider', async () => {
    const { id, providerId } = await asleep();
    const other = await world.make.level({ nicheId: (await world.make.niche()).id, priceCents: 900 });
    await world.make.subscription({ providerId, levelId: other.id, status: 'paused_funds' });
    const runId = randomUUID();
    expect(await run({ runId })).toEqual({ checked: 2, reactivated: 2, providers: 1 });
    const { rows } = await db.query(sql`select status, status_ref, vt from subscription where id = ${id}`);
    expect(rows).toEqual([{ status: 'active', status_ref: runId, vt: 700 }]);
    const { rows: facts } = await db.query(sql`
      select payload from ops.event_outbox where type = 'subscription.resumed' and payload ->> 'provider_id' = ${providerId}`);
    expect(facts.map(({ payload }) => payload)).toMatchObject([{ count: 2, cause: 'reactivation', ref: runId }]);
    const { rows: mails } = await db.query(sql`
      select variables from email where template = 'subscriptions_resumed' and related_id = ${providerId}`);
    expect(mails).toEqual([{ variables: { count: 2 } }]);
    expect(world.metrics.counts.subscriptionsReactivated).toBe(2);
    const line = world.lines.map((text) => JSON.parse(text)).find(({ event }) => event === 'subscriptions_reactivated');
    expect(line).toMatchObject({
      level: 'warn',
      metadata: { reactivated: 2, subscription_ids: [[expect.any(String), expect.any(String)]] },
    });
  });

  it('says nothing when it finds nothing', async () => {
    world.lines.length = 0;
    expect(await run()).toMatchObject({ reactivated: 0, providers: 0 });
    expect(world.lines).toEqual([]);
  });

  it('leaves what a person paused, what is cancelled, and what cannot sell', async () => {
    const retired = await world.make.level({
      nicheId: (await world.make.niche()).id,
      priceCents: 500,
      status: 'retired',
    });
    const resting = await world.make.level({
      nicheId: (await world.make.niche({ status: 'paused' })).id,
      priceCents: 500,
    });
    const left = [
      await asleep({ status: 'paused_user' }),
      await asleep({ status: 'paused_admin' }),
      await asleep({ status: 'cancelled' }),
      await asleep({ cents: 999 }),
      await asleep({ cents: 0 }),
      await asleep({ provider: { status: 'suspended' } }),
      await asleep({ at: retired.id }),
      await asleep({ at: resting.id }),
    ];
    const before = await Promise.all(left.map(({ id }) => statusOf(id)));
    expect(await run()).toEqual({ checked: 5, reactivated: 0, providers: 0 });
    expect(await Promise.all(left.map(({ id }) => statusOf(id)))).toEqual(before);
  });

  it('wakes each once when two run at once', async () => {
    const sleepers = await Promise.all(Array.from({ length: 12 }, () => asleep()));
    const ends = await Promise.all([run({ batch: 3 }), run({ batch: 3 }), run({ batch: 5 })]);
    expect(ends.reduce((sum, { reactivated }) => sum + reactivated, 0)).toBe(12);
    const { rows } = await db.query(sql`
      select count(*)::int as mails from email
      where template = 'subscriptions_resumed' and related_id = any(${sleepers.map((one) => one.providerId)}::uuid[])`);
    expect(rows).toEqual([{ mails: 12 }]);
  });

  it('goes on where it was stopped, and counts what the run did before', async () => {
    const sleepers = await Promise.all(Array.from({ length: 5 }, () => asleep()));
    const stop = new AbortController();
    const metrics = { subscriptionsReactivated: { inc: () => stop.abort(new Error('stopped by a test')) } };
    const runId = randomUUID();
    await expect(run({ runId, batch: 2, signal: stop.signal, metrics })).rejects.toThrow('stopped by a test');
    expect(await run({ runId })).toMatchObject({ reactivated: 5, providers: 5, checked: (await stillAsleep()) + 5 });
    expect(new Set(await Promise.all(sleepers.map(({ id }) => statusOf(id))))).toEqual(new Set(['active']));
  });

  it('passes by what somebody is changing at this moment', async () => {
    const { id } = await asleep();
    await db.transaction(async (tx) => {
      await tx.query(sql`select from subscription where id = ${id} for no key update`);
      expect(await run()).toMatchObject({ reactivated: 0 });
    });
    expect(await run()).toMatchObject({ reactivated: 1 });
  });
});

describe('a credit', () => {
  it('never wakes what its owner paused, nor does the run after it', async () => {
    const { id, providerId } = await asleep({ status: 'paused_user', cents: 0 });
    await world.make.credit({ providerId, amountCents: 50_000 });
    await run();
    expect(await statusOf(id)).toBe('paused_user');
  });
});

describe('the plans of reactivation', () => {
  it('start from those that sleep, in a market where few do', async () => {
    await db.transaction(async (tx) => {
      await tx.query(sql`set local session_replication_role = replica`);
      await tx.query(sql`
        insert into subscription (provider_id, level_id, status)
        select gen_random_uuid(), ${levelId}, 'active' from generate_series(1, 8000)`);
    });
    await db.query(sql`vacuum (analyze) subscription`);
    const { providerId } = await asleep();
    for (const statement of [fundableStatement, reactivateStatement([providerId], 'a test')]) {
      const nodes = await planOf(db, statement);
      const indexes = nodes.map((node) => node['Index Name']);
      expect(indexes).toContain('subscription_unfunded');
      expect(
        nodes.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name']),
      ).not.toContain('subscription');
    }
  });
});
