import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../../config.ts';
import { openTelemetry } from '../../telemetry.ts';
import { brokenInvariants } from '../../testing/distribution.ts';
import { nth } from '../../testing/nth.ts';
import { type PlanNode, planOf } from '../../testing/plan.ts';
import { findingsStatement, snapshotStatement } from './reconciliation-queries.ts';
import { type Disorder, openDisorder } from './reconciliation.fixture.ts';
import { watchMoney } from './stocks.ts';

let stage: Disorder;
beforeAll(async () => {
  stage = await openDisorder();
});
afterAll(() => stage.close());
beforeEach(() => stage.clear());

describe('a ledger that is broken', () => {
  /** Of three credits one is missing. */
  async function without(version: number, cents: readonly number[]): Promise<string> {
    const { id: providerId } = await stage.world.make.provider();
    for (const amountCents of cents) await stage.world.make.credit({ providerId, amountCents });
    await stage.unguarded([
      `delete from ledger_entry where provider_id = '${providerId}' and account_version = ${version}`,
    ]);
    return providerId;
  }

  it.each([
    ['in the middle', 2],
    ['at the end', 3],
    ['at the beginning', 1],
  ])(
    'is not corrected, though the difference is small: the first broken version is told (%s)',
    async (_place, version) => {
      const providerId = await without(version, [50, 50, 50]);
      expect(await stage.run()).toMatchObject({ corrected: 0, alerted: 1 });
      expect(await stage.recordsOf(providerId)).toEqual([
        { action: 'alerted', cause: 'broken_chain', diff_cents: 50, broken_version: version },
      ]);
      expect(await stage.balanceOf(providerId)).toBe(150);
    },
  );

  it('is found when an entry was rewritten, though all sums agree', async () => {
    const { id: providerId } = await stage.world.make.provider();
    for (const cents of [50, 50, 50]) await stage.world.make.credit({ providerId, amountCents: cents });
    await stage.unguarded([
      `update ledger_entry set balance_after_cents = 90 where provider_id = '${providerId}' and account_version = 2`,
    ]);
    expect(await stage.run()).toMatchObject({ alerted: 1 });
    expect(await stage.recordsOf(providerId)).toEqual([
      { action: 'alerted', cause: 'broken_chain', diff_cents: 0, broken_version: 2 },
    ]);
    await stage.settle(providerId);
  });

  it('is settled by a person, who is asked no more, and the account goes on', async () => {
    const providerId = await without(2, [1_000, 2_000, 3_000]);
    await stage.run();
    expect(await stage.brokenMoney()).toEqual([]);
    expect((await stage.settle(providerId)).json()).toMatchObject({
      before_cents: 6_000,
      after_cents: 4_000,
      changed: true,
    });
    expect(await stage.run()).toMatchObject({ alerted: 0, corrected: 0 });
    await stage.world.make.credit({ providerId, amountCents: 10 });
    expect(await stage.run()).toMatchObject({ alerted: 0, corrected: 0 });
    expect([await stage.brokenMoney(), await brokenInvariants(stage.db)]).toEqual([[], {}]);
  });

  it('whose sum is below zero is never taken for the truth', async () => {
    const { id: providerId } = await stage.world.make.provider();
    await stage.world.make.credit({ providerId, amountCents: 60 });
    await stage.take(providerId, 50);
    await stage.unguarded([`delete from ledger_entry where provider_id = '${providerId}' and account_version = 1`]);
    await stage.run();
    expect(await stage.recordsOf(providerId)).toEqual([
      { action: 'alerted', cause: 'below_zero', diff_cents: 60, broken_version: 1 },
    ]);
    const answer = await stage.settle(providerId);
    expect([answer.statusCode, answer.json().code]).toEqual([409, 'invalid_state']);
    await stage.world.make.credit({ providerId, amountCents: 60 });
    expect((await stage.settle(providerId)).json()).toMatchObject({ before_cents: 70, after_cents: 10 });
  });
});

describe('a person who reconciles an account', () => {
  it('closes its case, on record, and hears of no difference when there is none', async () => {
    const providerId = await stage.drifted(2_500);
    await stage.run();
    const open = async () =>
      (
        await stage.app.inject({
          url: `/admin/balance-corrections?open=true&provider_id=${providerId}`,
          headers: await stage.asAdmin(),
        })
      ).json().items as { id: string; diff_cents: number }[];
    const cases = await open();
    expect(cases.map((one) => one.diff_cents)).toEqual([2_500]);
    expect((await stage.settle(providerId)).json()).toEqual({
      before_cents: 13_000,
      after_cents: 10_500,
      changed: true,
      closed_case_id: nth(cases, 0).id,
      resumed: 0,
      paused: 0,
    });
    expect(await open()).toEqual([]);
    expect((await stage.settle(providerId)).json()).toMatchObject({ changed: false, closed_case_id: null });
    const { rows } = await stage.db.query(sql`
      select reason from ops.audit_log where target_id = ${providerId} and action = 'billing.account_reconciled'`);
    expect(rows).toEqual([{ reason: 'looked at it with finance' }]);
    expect(await stage.brokenMoney()).toEqual([]);
  });

  it('is told 404 of nobody, and 400 without a reason', async () => {
    expect((await stage.settle(randomUUID())).statusCode).toBe(404);
    expect((await stage.settle((await stage.world.make.provider()).id)).json()).toMatchObject({ changed: false });
    expect((await stage.settle(randomUUID(), 'short')).statusCode).toBe(400);
  });
});

describe('the records of reconciliation', () => {
  it('are never changed, only closed once; and no machine may correct what is large', async () => {
    const providerId = await stage.drifted(700);
    await stage.run();
    const change = (set: string) =>
      stage.db.query({
        name: '',
        text: `update balance_correction set ${set} where provider_id = $1`,
        values: [providerId],
      });
    await expect(change('cached_cents = 0, diff_cents = -ledger_cents')).rejects.toThrow('refused');
    await expect(change(`action = 'corrected'`)).rejects.toThrow();
    await stage.settle(providerId);
    await expect(change(`close_memo = 'other'`)).rejects.toThrow();
    await expect(stage.db.query(sql`delete from balance_correction`)).rejects.toThrow('refused');
    await expect(
      stage.db.query(sql`
        insert into balance_correction (run_id, provider_id, cached_cents, ledger_cents, diff_cents, action, cause, last_version,
                                        actor, correlation_id)
        values (gen_random_uuid(), ${providerId}, 101, 0, 101, 'corrected', 'difference', 1, 'system', 'none')`),
    ).rejects.toThrow('balance_correction_small');
  });
});

describe('the invariants of money', () => {
  it('are each seen to fail when broken', async () => {
    const { id: providerId } = await stage.world.make.provider();
    await stage.world.make.credit({ providerId, amountCents: 5_000 });
    await stage.world.make.credit({ providerId, amountCents: 5_000 });
    const payment = `insert into payment (provider_id, gateway, external_id, amount_cents, status)
                     values ('${providerId}', 'acme', 'ext', 700, 'succeeded')`;
    const breakages: Record<string, string[]> = {
      M1: ['update account set balance_cents = balance_cents - 2'],
      M2: ['update ledger_entry set account_version = 5 where account_version = 2', 'update account set version = 5'],
      M7: [payment],
      M8: ['update account set balance_cents = balance_cents + 101'],
    };
    for (const [name, statements] of Object.entries(breakages)) {
      const broken = await stage.db.transaction(async (tx) => {
        await tx.query(sql`set local session_replication_role = replica`);
        await tx.query(sql`savepoint whole`);
        for (const text of statements) await tx.query({ name: '', text, values: [] });
        const found = await stage.brokenMoney(tx);
        await tx.query(sql`rollback to whole`);
        return found;
      });
      expect(broken, name).toContain(name);
    }
    expect(await stage.brokenMoney()).toEqual([]);
  });
});

describe('the stocks of reconciliation', () => {
  it('count cases, one more after a night of many corrections, and tell when balances were last compared', async () => {
    // A collector keeps what it read for some seconds, so that each look has its own.
    const looks = async () => {
      const fresh = openTelemetry(readConfig({}), { role: 'test', logTo: { write() {} } }).metrics;
      watchMoney({ db: stage.db, metrics: fresh });
      await fresh.render();
      return [
        fresh.value('billing_reconciliation_mismatches'),
        fresh.value('billing_reconciliation_last_success_timestamp_seconds'),
      ];
    };
    await stage.drifted(9_000);
    const before = Date.now() / 1_000 - 1;
    await stage.run();
    const [cases, comparedAt] = await looks();
    expect(cases).toBe(1);
    expect(comparedAt).toBeGreaterThan(before);
    for (let nth = 0; nth < 21; nth += 1) await stage.drifted(3);
    await stage.run();
    expect((await looks())[0]).toBe(2);
    await stage.run();
    expect((await looks())[0]).toBe(1);
  });
});

describe('the plans of reconciliation', () => {
  it('read the ledger once for all accounts, and by its index for a suspect', async () => {
    const { id: providerId } = await stage.world.make.provider();
    await stage.world.make.credit({ providerId });
    await stage.db.transaction(async (tx) => {
      await tx.query(sql`set local session_replication_role = replica`);
      await tx.query(sql`insert into account (provider_id) select gen_random_uuid() from generate_series(1, 2000)`);
      await tx.query(sql`
        insert into ledger_entry (provider_id, account_version, kind, amount_cents, balance_after_cents, actor, correlation_id)
        select a.provider_id, n, 'manual_credit', 1, n, 'system', 'none' from account a, generate_series(2, 11) n`);
    });
    await stage.db.query(sql`vacuum (analyze) account, ledger_entry`);
    const scans = (nodes: readonly PlanNode[]) =>
      nodes.filter((node) => node['Relation Name'] === 'ledger_entry').map((node) => node['Node Type']);
    expect(scans(await planOf(stage.db, snapshotStatement))).toEqual(['Seq Scan']);
    const suspect = await planOf(stage.db, findingsStatement([providerId]));
    expect(
      suspect.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name']),
    ).not.toContain('ledger_entry');
    expect(
      suspect.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name']),
    ).not.toContain('account');
  });
});
