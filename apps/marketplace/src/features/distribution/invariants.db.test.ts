import { type Database, Refusal, sql, systemActor } from '@fmhl/ops';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCredit } from '../../testing/billing.ts';
import { brokenInvariants, sellLead } from '../../testing/distribution.ts';
import { makeLead } from '../../testing/leads.ts';
import { nth } from '../../testing/nth.ts';
import { makeLevel, makeNiche, makeProvider, makeSubscription } from '../../testing/subscriptions.ts';
import { openTestWorld } from '../../testing/world.ts';
import { adjust } from '../billing/index.ts';
import { eraseLead } from '../leads/index.ts';
import { reinstateByStaff, suspendByStaff } from '../subscriptions/index.ts';
import type { DistributionDeps } from './distribute.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;
let db: Database;
let deps: DistributionDeps;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  deps = { metrics: world.metrics, log: world.log, now: () => new Date() };
});
afterAll(() => world.close());

interface Market {
  nicheId: string;
  levelIds: string[];
  providerIds: string[];
  leadIds: string[];
}

const amount = fc.integer({ min: 1, max: 9_000 });
const which = fc.nat(11);
const areas = fc.subarray(['*', 'US', 'US-CA', 'US-NY', 'US-941'], { minLength: 1 });
const form = fc.record({ rooms: fc.nat(6) });
const filterRules = fc.option(
  fc.tuple(fc.constantFrom('eq', 'gte', 'lte'), fc.nat(6)).map(([op, value]) => [{ field: 'rooms', op, value }]),
);

const supply = fc.record({
  levels: fc.array(
    fc.record({ priceCents: fc.constantFrom(500, 1_500, 2_800), maxRecipients: fc.integer({ min: 1, max: 5 }) }),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
  providers: fc.array(
    fc.record({
      cents: fc.nat(9_000),
      tz: fc.constantFrom('UTC', 'America/New_York', 'Pacific/Kiritimati'),
      weight: fc.integer({ min: 1, max: 10 }),
      dailyCap: fc.option(fc.integer({ min: 1, max: 3 })),
      areas,
      filterRules,
    }),
    { minLength: 2, maxLength: 8 },
  ),
});

const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant('sell' as const), areas, form }) },
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constant('sell at once' as const), leads: fc.integer({ min: 2, max: 5 }), form }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('sell again' as const), which }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('credit' as const), which, amount }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('debit' as const), which, amount }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constantFrom('suspend', 'reinstate', 'erase', 'suspend and erase while it sells'),
      which,
    }),
  },
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

async function open({ levels, providers }: typeof supply extends fc.Arbitrary<infer S> ? S : never): Promise<Market> {
  const { id: nicheId } = await makeNiche(db);
  const market: Market = { nicheId, levelIds: [], providerIds: [], leadIds: [] };
  for (const level of levels) market.levelIds.push((await makeLevel(db, { nicheId, ...level })).id);
  for (const { cents, tz, ...terms } of providers) {
    const { id: providerId } = await makeProvider(db, { tz });
    market.providerIds.push(providerId);
    if (cents > 0) await makeCredit(db, { providerId, amountCents: cents }, deps);
    for (const levelId of market.levelIds) await makeSubscription(db, { providerId, levelId, ...terms });
  }
  return market;
}

/** A deadlock ends one of two transactions, as in production, where the job tries it again. */
async function sell(leadId: string): Promise<void> {
  for (;;) {
    try {
      await sellLead(db, leadId, deps);
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== '40P01') throw error;
    }
  }
}

async function run(market: Market, step: Command): Promise<void> {
  const providerId = 'which' in step ? nth(market.providerIds, step.which % market.providerIds.length) : '';
  const { nicheId } = market;
  switch (step.does) {
    case 'sell': {
      const lead = await makeLead(db, { nicheId, areaCodes: step.areas, form: step.form });
      market.leadIds.push(lead.id);
      return sell(lead.id);
    }
    case 'sell at once': {
      const leads = await Promise.all(
        Array.from({ length: step.leads }, () => makeLead(db, { nicheId, form: step.form })),
      );
      await Promise.all(leads.flatMap(({ id }) => [sell(id), sell(id)]));
      return;
    }
    case 'sell again': {
      const leadId = market.leadIds[step.which % Math.max(1, market.leadIds.length)];
      return leadId === undefined ? undefined : sell(leadId);
    }
    case 'credit':
      await makeCredit(db, { providerId, amountCents: step.amount }, deps);
      return;
    case 'debit':
      return takeByHand(providerId, step.amount);
    case 'suspend':
      return suspend(providerId);
    case 'reinstate':
      await db.transaction((tx) => reinstateByStaff(tx, actOn(providerId), status));
      return;
    case 'erase': {
      const leadId = market.leadIds[step.which % Math.max(1, market.leadIds.length)];
      return leadId === undefined ? undefined : erase(leadId);
    }
    case 'suspend and erase while it sells': {
      const [one, two] = await Promise.all([makeLead(db, { nicheId }), makeLead(db, { nicheId })]);
      await Promise.all([sell(one.id), suspend(providerId), sell(two.id), erase(two.id)]);
    }
  }
}

const actOn = (providerId: string) => ({ providerId, actor: systemActor, memo: 'done by a test', now: new Date() });
const status = {
  get log() {
    return world.log;
  },
  endAccess: async () => ({ sessions: 0, tokens: 0 }),
};

async function suspend(providerId: string): Promise<void> {
  await db.transaction((tx) => suspendByStaff(tx, actOn(providerId), status));
}

async function erase(leadId: string): Promise<void> {
  await db.transaction((tx) => eraseLead(tx, { leadId, actor: systemActor, memo: 'done by a test' }, deps));
}

async function takeByHand(providerId: string, cents: number): Promise<void> {
  const debit = { providerId, amountCents: -cents, memo: 'taken by a test', actor: systemActor };
  await db
    .transaction((tx) => adjust(tx, debit, deps))
    .catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
    });
}

describe('the invariants of sales and money', () => {
  it('hold after any sequence of sales, retries, races, credits, debits, suspensions and erasures', async () => {
    await fc.assert(
      fc.asyncProperty(supply, fc.array(command, { minLength: 3, maxLength: 16 }), async (offered, steps) => {
        const market = await open(offered);
        for (const step of steps) await run(market, step);
        expect(await brokenInvariants(db)).toEqual({});
      }),
      { numRuns: 25, endOnFailure: true },
    );
    const { rows } = await db.query<{ sold: number }>(sql`select count(*)::int as sold from v_assignment`);
    expect(rows[0]?.sold).toBeGreaterThan(50);
  }, 120_000);

  it('are each seen to fail when broken', async () => {
    const market = await open({
      levels: [{ priceCents: 500, maxRecipients: 3 }],
      providers: [{ cents: 5_000, tz: 'UTC', weight: 1, dailyCap: 3, areas: ['*'], filterRules: null }],
    });
    await run(market, { does: 'sell', areas: ['*'], form: { rooms: 1 } });
    const breakages: Record<string, string> = {
      I1: `alter table assignment drop constraint assignment_once_a_provider; alter table assignment disable trigger user;
           insert into assignment select gen_random_uuid(), lead_id, provider_id, subscription_id, level_id, price_cents, 20, 20, cap_day, 1000, null from assignment limit 1`,
      I2: `update lead set assigned_count = 0 where assigned_count > 0`,
      I3: `alter table ledger_entry disable trigger user; delete from ledger_entry where kind = 'lead_charge'`,
      I5: `update account set balance_cents = balance_cents + 1`,
      I6: `alter table account drop constraint account_balance_cents_check; update account set balance_cents = -1`,
      I7: `update lead set is_test = true where assigned_count > 0`,
      I8: `alter table assignment disable trigger user; update assignment set cap_n = cap_n + 1000, cap_limit = null`,
      lead_erasure: `update lead set erased_at = clock_timestamp() where assigned_count > 0`,
      I10: `delete from email where template = 'new_lead'`,
    };
    for (const [name, breakage] of Object.entries(breakages)) {
      const broken = db.transaction(async (tx) => {
        await tx.query(sql`savepoint whole`);
        for (const text of breakage.split(';')) await tx.query({ name: '', text, values: [] });
        const found = Object.keys(await brokenInvariants(tx));
        await tx.query(sql`rollback to whole`);
        return found;
      });
      expect(await broken, name).toContain(name);
    }
    expect(await brokenInvariants(db)).toEqual({});
  });
});

describe('sixteen workers on one lead', () => {
  it('sell it once', async () => {
    const { nicheId } = await open({
      levels: [{ priceCents: 1_500, maxRecipients: 5 }],
      providers: Array.from({ length: 8 }, () => ({
        cents: 9_000,
        tz: 'UTC',
        weight: 1,
        dailyCap: null,
        areas: ['*'],
        filterRules: null,
      })),
    });
    const lead = await makeLead(db, { nicheId });
    const ends = await Promise.all(Array.from({ length: 16 }, () => sellLead(db, lead.id, deps)));
    const outcomes = ends.map((end) => end.outcome).toSorted();
    expect(outcomes).toEqual(['distributed', ...Array.from({ length: 15 }, () => 'noop')]);
    const { rows } = await db.query<{ sold: number }>(
      sql`select count(*)::int as sold from v_assignment where lead_id = ${lead.id}`,
    );
    expect(rows[0]?.sold).toBe(5);
    expect(await brokenInvariants(db)).toEqual({});
  });
});

describe('fairness under concurrency', () => {
  it('gives N assignments to N different subscriptions of equal weight', async () => {
    const { nicheId, providerIds } = await open({
      levels: [{ priceCents: 500, maxRecipients: 2 }],
      providers: Array.from({ length: 60 }, () => ({
        cents: 9_000,
        tz: 'UTC',
        weight: 1,
        dailyCap: null,
        areas: ['*'],
        filterRules: null,
      })),
    });
    const leads = await Promise.all(Array.from({ length: 30 }, () => makeLead(db, { nicheId })));
    await Promise.all(leads.map(({ id }) => sell(id)));
    const { rows } = await db.query<{ times: number; providers: number }>(sql`
      select times, count(*)::int as providers from (
        select count(*)::int as times from v_assignment where provider_id = any(${providerIds}::uuid[]) group by provider_id) t
      group by times`);
    expect(rows).toEqual([{ times: 1, providers: 60 }]);
  });
});
