import { findBreaches, type Queryable } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nth } from '../../testing/nth.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { badLeadInvariants } from './invariants.ts';
import { memo, openMarket } from './market.fixture.ts';

let world: TestWorld;
let market: Awaited<ReturnType<typeof openMarket>>;

beforeAll(async () => {
  world = await openTestWorld();
  market = await openMarket(world, { providers: 2 });
  const [, refunded, bad] = [await market.sell(), await market.sell(), await market.sell()];
  const id = refunded.of(nth(market.providers, 0));
  await market.asAdmin('POST', `/admin/assignments/${id}/refund`, { memo });
  const expected = { leads: 1, assignments: 2, providers: 2, refund_cents: 5_600 };
  await market.asAdmin('POST', '/admin/leads/mark-bad', { ids: [bad.leadId], memo, expected });
});
afterAll(async () => {
  await market.server.close();
  await world.close();
});

async function brokenIn(db: Queryable): Promise<string[]> {
  const broken: string[] = [];
  for (const one of badLeadInvariants) if ((await findBreaches(db, one)).rows.length > 0) broken.push(one.name);
  return broken;
}

const rules = 'alter table ledger_entry disable trigger user; alter table assignment disable trigger user';
const reports = 'alter table bad_lead_report disable trigger user';
const aRefund = `select assignment_id from bad_lead_report where via = 'goodwill'`;

/** Each way to break one, with the names it breaks: what bypasses the product, as constraints and triggers refuse the rest. */
const breakages: readonly [string, string, readonly string[]][] = [
  [
    'a refund of another amount',
    `${rules}; update ledger_entry set amount_cents = 1 where assignment_id = (${aRefund}) and kind = 'lead_refund'`,
    ['I4'],
  ],
  [
    'a mark without a refund',
    `${rules}; update assignment set refunded_at = now() where refunded_at is null`,
    ['I4', 'bad_lead_reports'],
  ],
  [
    'a refund without a mark',
    `${rules}; update assignment set refunded_at = null where id = (${aRefund})`,
    ['I4', 'bad_lead_reports'],
  ],
  ['a refund that is gone', `${rules}; delete from ledger_entry where kind = 'lead_refund'`, ['I4']],
  [
    'a second refund',
    `${rules}; drop index ledger_entry_refund; insert into ledger_entry (provider_id, account_version, kind, amount_cents,
       balance_after_cents, assignment_id, actor, correlation_id)
     select provider_id, 9999, kind, amount_cents, 0, assignment_id, actor, correlation_id from ledger_entry
     where kind = 'lead_refund' limit 1`,
    ['I4'],
  ],
  [
    'a report turned down that was paid',
    `${reports}; alter table bad_lead_report drop constraint bad_lead_report_check2; update bad_lead_report set status = 'rejected' where via = 'goodwill'`,
    ['bad_lead_reports'],
  ],
  [
    'a report of another',
    `${reports}; update bad_lead_report set provider_id = gen_random_uuid()`,
    ['bad_lead_reports'],
  ],
  [
    'a bad lead that was not refunded',
    `update lead set status = 'bad', bad_at = now() where status = 'distributed'`,
    ['bad_leads'],
  ],
  ['a refunded lead that is not bad', `update lead set status = 'distributed' where status = 'bad'`, ['bad_leads']],
];

describe('the invariants of refunds and reports', () => {
  it('hold', async () => {
    expect(await brokenIn(world.db)).toEqual([]);
  });

  it.each(breakages)('see %s', async (_what, breakage, names) => {
    const broken = await world.db.transaction(async (tx) => {
      await tx.query({ name: '', text: 'savepoint whole', values: [] });
      for (const text of breakage.split(';')) await tx.query({ name: '', text, values: [] });
      const found = await brokenIn(tx);
      await tx.query({ name: '', text: 'rollback to whole', values: [] });
      return found;
    });
    expect(broken).toEqual(names);
  });
});
