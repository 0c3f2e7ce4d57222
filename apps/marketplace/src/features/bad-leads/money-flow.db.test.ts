import { createHmac, randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signInAs } from '../../testing/auth.ts';
import { type Cut, type CuttableDatabase, openCuttableDatabase } from '../../testing/cut-commit.ts';
import { brokenInvariants, sellLead } from '../../testing/distribution.ts';
import { nth, present } from '../../testing/nth.ts';
import { openTestProduct, type TestProduct } from '../../testing/product.ts';
import { reconcileBalances } from '../billing/index.ts';
import { reactivateSubscriptions } from '../subscriptions/index.ts';
import { type Bought, MoneyModel, type Outcome } from './money-model.fixture.ts';

/** More are asked for by `MONEY_RUNS`. */
const runs = Number(process.env.MONEY_RUNS ?? 5);
const memo = 'done by a test of money';

let wire: CuttableDatabase;
let product: TestProduct;
let admin: Record<string, string>;
const seen: Record<string, number> = {};

beforeAll(async () => {
  const reach = async (url: string) => (wire = await openCuttableDatabase(url, 1)).url;
  product = await openTestProduct({ redisDatabase: 13, reach, settings: { DEPOSIT_MODE: 'gateway' } });
  ({ headers: admin } = await signInAs(product.world.db));
});
afterAll(async () => {
  await product.close();
  await wire.close();
});

const which = fc.nat(30);
const cents = fc.integer({ min: 1, max: 6_000 });
/** A connection that is lost at the COMMIT of the act: the process, or the network, ends there. */
const cut = fc.option(fc.constantFrom<Cut>('before', 'after'), { freq: 4, nil: undefined });
const act = <Name extends string>(does: Name) => fc.constant(does);

const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: act('sell'), cut }) },
  {
    weight: 2,
    arbitrary: fc.record({ does: act('deposit'), which, cents, times: fc.integer({ min: 1, max: 3 }), cut }),
  },
  { weight: 2, arbitrary: fc.record({ does: act('fail deposit'), which, cents, cut }) },
  { weight: 5, arbitrary: fc.record({ does: act('report'), which, cut }) },
  { weight: 4, arbitrary: fc.record({ does: act('approve'), which, cut }) },
  { weight: 2, arbitrary: fc.record({ does: act('reject'), which, cut }) },
  { weight: 2, arbitrary: fc.record({ does: act('goodwill'), which, cut }) },
  { weight: 2, arbitrary: fc.record({ does: act('mark bad'), which, cut }) },
  {
    weight: 2,
    arbitrary: fc.record({ does: act('adjust'), which, cents: fc.integer({ min: -6_000, max: 6_000 }), cut }),
  },
  { weight: 2, arbitrary: fc.record({ does: act('price'), which, cents: fc.integer({ min: 500, max: 3_500 }), cut }) },
  { weight: 2, arbitrary: fc.record({ does: act('all at once'), which, cut: fc.constant(undefined) }) },
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;
type Named<Does extends Command['does']> = Extract<Command, { does: Does }>;

interface Provider {
  readonly id: string;
  readonly headers: Record<string, string>;
}

interface Market {
  readonly model: MoneyModel;
  readonly nicheId: string;
  readonly levels: readonly string[];
  readonly providers: readonly Provider[];
  readonly asleep: readonly string[];
}

async function openMarket(balances: readonly number[]): Promise<Market> {
  const { make, db } = product.world;
  const model = new MoneyModel();
  const { id: nicheId } = await make.niche();
  const levels = [];
  for (const priceCents of [1_000, 2_500]) {
    const level = await make.level({ nicheId, priceCents, maxRecipients: 3 });
    levels.push(level.id);
    model.priceOf.set(level.id, priceCents);
  }
  const providers: Provider[] = [];
  const asleep: string[] = [];
  for (const balance of balances) {
    const { headers, userId } = await signInAs(db, { role: 'provider' });
    const { rows } = await db.query<{ id: string }>(sql`
      insert into provider (user_id, company, tz, status) values (${userId}, 'Test', 'UTC', 'active') returning id`);
    const { id: providerId } = present(rows[0]);
    // The last provider rests at the first level by their own will.
    const rests = providers.length === balances.length - 1;
    for (const [at, levelId] of levels.entries()) {
      const status = rests && at === 0 ? 'paused_user' : 'paused_funds';
      const { id } = await make.subscription({ providerId, levelId, status });
      if (status === 'paused_user') asleep.push(id);
    }
    if (balance > 0) await make.credit({ providerId, amountCents: balance });
    model.add(providerId, balance);
    providers.push({ id: providerId, headers });
  }
  return { model, nicheId, levels, providers, asleep };
}

async function send(
  method: 'POST' | 'PUT',
  url: string,
  { headers = admin, ...payload }: { headers?: Record<string, string>; [field: string]: unknown } = {},
): Promise<Outcome & { body: Record<string, unknown> }> {
  const answer = await product.call({
    method,
    url: `/api/v1${url}`,
    headers: { 'idempotency-key': randomUUID(), ...headers },
    payload,
  });
  const body = answer.json<{ code?: string; changed?: boolean }>();
  return { status: answer.statusCode, code: body.code, changed: body.changed, body };
}

interface Thought {
  readonly expected: Outcome;
  readonly commit: () => void;
}

/**
 * Does what was thought of, with the connection lost at its COMMIT when `at` says so: then the act is whole or absent, the caller hears
 * 503, and the thought is committed only where the COMMIT arrived.
 */
async function asThought(
  at: Cut | undefined,
  { expected, commit }: Thought,
  doIt: () => Promise<Outcome>,
): Promise<void> {
  const before = wire.cuts;
  wire.cutNext(at);
  const { status, code, changed } = await doIt();
  wire.cutNext();
  if (wire.cuts > before) {
    seen[`cut ${at}`] = (seen[`cut ${at}`] ?? 0) + 1;
    expect({ status, code }).toEqual({ status: 503, code: 'database_unavailable' });
    if (at === 'after') commit();
    return;
  }
  expect({ status, code, changed }).toMatchObject(expected);
  commit();
}

function pick<T>(items: readonly T[], at: number): T | undefined {
  return items[at % Math.max(1, items.length)];
}

async function run(market: Market, step: Command): Promise<void> {
  const { model } = market;
  const at = 'which' in step ? step.which : 0;
  const provider = present(pick(market.providers, at));
  const one = pick(model.bought, at);
  seen[step.does] = (seen[step.does] ?? 0) + 1;
  switch (step.does) {
    case 'sell':
      return sell(market, step.cut);
    case 'deposit':
    case 'fail deposit':
      return deposit(market, provider, step);
    case 'adjust': {
      if (step.cents === 0) return;
      const request = { amount_cents: step.cents, memo };
      const doIt = () => send('POST', `/admin/providers/${provider.id}/adjustments`, request);
      return asThought(step.cut, model.adjust(provider.id, step.cents), doIt);
    }
    case 'price':
      return setPrice(market, present(pick(market.levels, at)), step);
    default:
      return one && runOn(market, one, step);
  }
}

type OnBought = Named<'report' | 'approve' | 'reject' | 'goodwill' | 'mark bad' | 'all at once'>;

async function runOn({ model, providers }: Market, one: Bought, step: OnBought): Promise<void> {
  const buyer = present(providers.find(({ id }) => id === one.providerId));
  const decide = (verb: string) => () => send('POST', `/admin/bad-leads/${one.id}/${verb}`, { memo });
  const giveBack = () => send('POST', `/admin/assignments/${one.id}/refund`, { memo });
  switch (step.does) {
    case 'report': {
      const report = { headers: buyer.headers, reason: 'spam' };
      return asThought(step.cut, model.report(one), () => send('POST', `/provider/inbox/${one.id}/report`, report));
    }
    case 'approve':
      return asThought(step.cut, model.decide(one, 'approved'), decide('approve'));
    case 'reject':
      return asThought(step.cut, model.decide(one, 'rejected'), decide('reject'));
    case 'goodwill':
      return asThought(step.cut, model.goodwill(one), giveBack);
    case 'mark bad':
      return markBad(model, one.leadId, step.cut);
    case 'all at once': {
      const plan = planOf(model, one.leadId);
      const mark = () => send('POST', '/admin/leads/mark-bad', { ids: [one.leadId], memo, expected: plan });
      const ends = await Promise.all(
        [giveBack, decide('approve'), mark, giveBack, decide('approve'), mark].map((go) => go()),
      );
      expect(ends.filter(({ status }) => status >= 500)).toEqual([]);
      return absorb(model, one);
    }
  }
}

/** The mark may have come before the refunds or too late: what stands is taken over, and every balance must follow from it. */
async function absorb(model: MoneyModel, one: Bought): Promise<void> {
  const { rows } = await product.world.db.query<{ id: string }>(sql`
    select a.id from v_assignment a where a.lead_id = ${one.leadId} and a.refunded_at is not null`);
  const ids = new Set(rows.map((row) => row.id));
  expect(ids).toContain(one.id);
  for (const each of model.owedFor(one.leadId)) if (ids.has(each.id)) model.refund(each);
  const { rows: leads } = await product.world.db.query(sql`select status from v_lead where id = ${one.leadId}`);
  if (leads[0]?.status === 'bad') model.badLeads.add(one.leadId);
}

const planOf = (model: MoneyModel, leadId: string) => {
  const owed = model.owedFor(leadId);
  const refund_cents = owed.reduce((sum, each) => sum + each.cents, 0);
  return { leads: model.badLeads.has(leadId) ? 0 : 1, assignments: owed.length, providers: owed.length, refund_cents };
};

/** Its steps are tried again in place, so that the caller hears of no cut. */
async function markBad(model: MoneyModel, leadId: string, at: Cut | undefined): Promise<void> {
  const expected = planOf(model, leadId);
  wire.cutNext(at);
  const { status, body } = await send('POST', '/admin/leads/mark-bad', { ids: [leadId], memo, expected });
  wire.cutNext();
  expect(status, JSON.stringify(body)).toBe(200);
  for (const each of model.owedFor(leadId)) model.refund(each);
  model.badLeads.add(leadId);
}

async function sell({ model, nicheId }: Market, at: Cut | undefined): Promise<void> {
  const { db, make } = product.world;
  const lead = await make.lead({ nicheId });
  wire.cutNext(at);
  await sellLead(product.app.db, lead.id, product.world).catch((error: unknown) => {
    expect((error as Error).name).toBe('AmbiguousCommit');
  });
  wire.cutNext();
  // The job of a sale that was lost is run again.
  await sellLead(product.app.db, lead.id, product.world);
  const { rows } = await db.query<{ id: string; provider_id: string; level_id: string; price_cents: number }>(
    sql`select id, provider_id, level_id, price_cents from v_assignment where lead_id = ${lead.id}`,
  );
  for (const { id, provider_id, level_id, price_cents } of rows) {
    expect(price_cents).toBe(model.priceOf.get(level_id));
    model.sold({ id, leadId: lead.id, providerId: provider_id, cents: price_cents });
  }
}

async function deposit({ model }: Market, provider: Provider, step: Named<'deposit' | 'fail deposit'>): Promise<void> {
  const amount_cents = Math.max(1_000, step.cents);
  const { body } = await send('POST', '/provider/deposits', { headers: provider.headers, amount_cents });
  const payment = body.payment as { id: string };
  const isPaid = step.does === 'deposit';
  const told = { gateway: 'test', payment_id: payment.id, external_id: payment.id, amount_cents };
  const tell = () => tellGateway({ ...told, event_id: `e-${payment.id}`, status: isPaid ? 'succeeded' : 'failed' });
  const commit = () => (isPaid ? model.add(provider.id, amount_cents) : undefined);
  const cuts = wire.cuts;
  await asThought(step.cut, { expected: { status: 200, changed: true }, commit }, tell);
  const isLost = wire.cuts > cuts && step.cut === 'before';
  // What is not acknowledged is told again, and what is, sometimes too.
  if (isLost) await asThought(undefined, { expected: { status: 200, changed: true }, commit }, tell);
  for (let time = 1; time < ('times' in step ? step.times : 1); time += 1) {
    await asThought(undefined, { expected: { status: 200, changed: false }, commit: () => {} }, tell);
  }
}

async function tellGateway(report: object): Promise<Outcome> {
  const payload = JSON.stringify(report);
  const at = Math.floor(Date.now() / 1_000);
  const secret = nth(product.app.billingDeps.webhookSecrets, 0);
  const hex = createHmac('sha256', secret).update(`${at}.${payload}`).digest('hex');
  const headers = { 'content-type': 'application/json', 'x-fmhl-signature': `t=${at},v1=${hex}` };
  const answer = await product.call({ method: 'POST', url: '/api/v1/webhooks/payments', headers, payload });
  const { code, changed } = answer.json<{ code?: string; changed?: boolean }>();
  return { status: answer.statusCode, code, changed };
}

async function setPrice({ model }: Market, levelId: string, step: Named<'price'>): Promise<void> {
  const { cents: price_cents } = step;
  const preview = await send('POST', `/admin/levels/${levelId}/price-preview`, { price_cents });
  const { rows } = await product.world.db.query(sql`select name from v_level where id = ${levelId}`);
  const request = { price_cents, plan_hash: preview.body.plan_hash, memo, confirm: rows[0]?.name };
  const commit = () => void model.priceOf.set(levelId, price_cents);
  await asThought(step.cut, { expected: { status: 200 }, commit }, () =>
    send('PUT', `/admin/levels/${levelId}/price`, request),
  );
}

/** Balances and refunds are as thought; what a balance pays is active, what it does not pay sleeps, and who rests by will, rests. */
async function expectAsThought({ model, providers, asleep }: Market): Promise<void> {
  const ids = providers.map(({ id }) => id);
  const { db } = product.world;
  const { rows: accounts } = await db.query<{ id: string; cents: number }>(sql`
    select p.id, coalesce(a.balance_cents, 0) as cents from v_provider p left join v_account a on a.provider_id = p.id
    where p.id = any(${ids}::uuid[])`);
  expect(new Map(accounts.map(({ id, cents: balance }) => [id, balance]))).toEqual(model.balances);
  const { rows: refunds } = await db.query<{ id: string }>(sql`
    select id from v_assignment where provider_id = any(${ids}::uuid[]) and refunded_at is not null`);
  expect(refunds.map((row) => row.id).toSorted()).toEqual(model.refunded());
  const { rows: wrong } = await db.query(sql`
    select s.id, s.status, l.price_cents, a.balance_cents
    from v_subscription s join v_level l on l.id = s.level_id left join v_account a on a.provider_id = s.provider_id
    where s.provider_id = any(${ids}::uuid[]) and s.status <>
      case when s.id = any(${asleep}::uuid[]) then 'paused_user'
           when coalesce(a.balance_cents, 0) >= l.price_cents then 'active' else 'paused_funds' end`);
  expect(wrong).toEqual([]);
}

/** What the scheduled jobs find wrong. */
async function atNight() {
  const { db, log, metrics } = product.world;
  const run = { db, log, metrics, runId: randomUUID(), correlationId: 'night-of-money-flow' };
  const { within_tolerance, corrected, alerted } = await reconcileBalances(run);
  const { reactivated } = await reactivateSubscriptions(run);
  return { within_tolerance, corrected, alerted, reactivated };
}

/** Every act once with each way to lose its COMMIT, so that no run is without them. */
const everything: Command[] = [undefined, 'before' as const, 'after' as const].flatMap((at, turn): Command[] => [
  { does: 'sell', cut: at },
  { does: 'sell', cut: undefined },
  { does: 'deposit', which: 0, cents: 4_000, times: 2, cut: at },
  { does: 'fail deposit', which: 1, cents: 2_000, cut: at },
  ...[0, 1, 2].map((which) => ({ does: 'report' as const, which: turn * 4 + which, cut: at })),
  { does: 'approve', which: turn * 4, cut: at },
  { does: 'reject', which: turn * 4 + 1, cut: at },
  { does: 'goodwill', which: turn * 4 + 2, cut: at },
  { does: 'price', which: turn, cents: 900 + 400 * turn, cut: at },
  { does: 'adjust', which: 1, cents: -1_500, cut: at },
  { does: 'mark bad', which: turn, cut: at },
  { does: 'all at once', which: 3 + turn, cut: undefined },
]);

describe('the whole money flow', () => {
  it('is after any sequence of acts, crashes among them, what it was thought to be, and breaks no invariant', async () => {
    const balances = fc.array(fc.nat(8_000), { minLength: 3, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(balances, fc.array(command, { minLength: 8, maxLength: 24 }), async (offered, steps) => {
        const market = await openMarket(offered);
        for (const step of steps) {
          await run(market, step);
          await expectAsThought(market);
        }
        expect(await brokenInvariants(product.world.db)).toEqual({});
        expect(await atNight()).toEqual({ within_tolerance: 0, corrected: 0, alerted: 0, reactivated: 0 });
      }),
      { numRuns: runs, endOnFailure: true, examples: [[[8_000, 6_000, 4_000, 2_000], everything]] },
    );
    expect(Object.keys(seen)).toEqual(
      expect.arrayContaining([...everything.map(({ does }) => does), 'cut before', 'cut after']),
    );
  }, 600_000);
});
