import { type Database, type Refusal, sql, systemActor } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCredit } from '../../testing/billing.ts';
import { brokenInvariants, sellLead } from '../../testing/distribution.ts';
import { makeLead } from '../../testing/leads.ts';
import { nth } from '../../testing/nth.ts';
import { makeLevel, makeNiche, makeProvider, makeSubscription } from '../../testing/subscriptions.ts';
import { openTestWorld } from '../../testing/world.ts';
import { adjust } from './adjust.ts';
import { credit } from './credit.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;
let db: Database;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
});
afterAll(() => world.close());

async function accountOf(providerId: string) {
  const { rows } = await db.query<{ balance_cents: number; version: number }>(
    sql`select balance_cents, version from v_account where provider_id = ${providerId}`,
  );
  return rows[0];
}

const take = (providerId: string, cents: number) =>
  db.transaction((tx) =>
    adjust(tx, { providerId, amountCents: -cents, memo: 'taken by a test', actor: systemActor }, world),
  );

describe('fifty charges of one account at once', () => {
  it('of sales in many niches take what there is and nothing more, under dense numbers', async () => {
    const { id: providerId } = await makeProvider(db);
    await makeCredit(db, { providerId, amountCents: 20 * 500 + 499 }, world);
    const leads = [];
    for (let at = 0; at < 50; at += 1) {
      const { id: nicheId } = await makeNiche(db);
      const { id: levelId } = await makeLevel(db, { nicheId, priceCents: 500 });
      await makeSubscription(db, { providerId, levelId });
      leads.push(await makeLead(db, { nicheId }));
    }
    await Promise.all(leads.map(({ id }) => sellUntilJudged(id)));
    expect(await accountOf(providerId)).toEqual({ balance_cents: 499, version: 21 });
    const { rows } = await db.query(
      sql`select account_version from v_ledger_entry where provider_id = ${providerId} order by account_version`,
    );
    expect(rows.map((row) => row.account_version)).toEqual(Array.from({ length: 21 }, (_one, at) => at + 1));
    expect(await brokenInvariants(db)).toEqual({});
  });

  it('by hand take what there is and refuse the rest', async () => {
    const { id: providerId } = await makeProvider(db);
    await makeCredit(db, { providerId, amountCents: 3_050 }, world);
    const ends = await Promise.allSettled(Array.from({ length: 50 }, () => take(providerId, 100)));
    const refused = ends.filter((end) => end.status === 'rejected').map((end) => (end.reason as Refusal).code);
    expect(refused).toEqual(Array.from({ length: 20 }, () => 'insufficient_balance'));
    expect(await accountOf(providerId)).toEqual({ balance_cents: 50, version: 31 });
    expect(world.metrics.counts['billingFailure.adjust.error']).toBeUndefined();
  });
});

/** As the job does: a deadlock or lock timeout is tried again. */
async function sellUntilJudged(leadId: string): Promise<void> {
  for (;;) {
    try {
      await sellLead(db, leadId, world);
      return;
    } catch (error) {
      if (!['40P01', '55P03'].includes((error as { code?: string }).code ?? '')) throw error;
    }
  }
}

describe('a credit', () => {
  it('opens the account, and wakes what it can pay and nothing the provider paused', async () => {
    const { id: providerId } = await makeProvider(db);
    const { id: nicheId } = await makeNiche(db);
    const statuses = ['paused_funds', 'paused_funds', 'paused_user'] as const;
    const prices = [1_000, 5_000, 500];
    const made = [];
    for (const [at, status] of statuses.entries()) {
      const { id: levelId } = await makeLevel(db, { nicheId, priceCents: nth(prices, at) });
      made.push(await makeSubscription(db, { providerId, levelId, status }));
    }
    const credited = await db.transaction((tx) =>
      credit(
        tx,
        { providerId, kind: 'manual_credit', amountCents: 2_000, memo: 'a test credit', actor: systemActor },
        world,
      ),
    );
    expect(credited.resumed).toBe(1);
    const { rows } = await db.query(
      sql`select id, status from v_subscription where id = any(${made.map((one) => one.id)}::uuid[])`,
    );
    const after = new Map(rows.map((row) => [row.id, row.status]));
    expect(made.map((one) => after.get(one.id))).toEqual(['active', 'paused_funds', 'paused_user']);
  });
});

describe('the ledger', () => {
  it('refuses every change of what is written', async () => {
    const { id: providerId } = await makeProvider(db);
    await makeCredit(db, { providerId }, world);
    await expect(
      db.query(sql`update ledger_entry set amount_cents = 1 where provider_id = ${providerId}`),
    ).rejects.toThrow('refused');
    await expect(db.query(sql`delete from ledger_entry where provider_id = ${providerId}`)).rejects.toThrow('refused');
    await expect(db.query(sql`truncate ledger_entry`)).rejects.toThrow('refused');
  });
});
