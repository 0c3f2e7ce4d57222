import { randomUUID } from 'node:crypto';
import { sql, systemActor } from '@fmhl/ops';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { brokenInvariants } from '../../testing/distribution.ts';
import { adjust } from './adjust.ts';
import { type Disorder, openDisorder } from './reconciliation.fixture.ts';

let stage: Disorder;
beforeAll(async () => {
  stage = await openDisorder();
});
afterAll(() => stage.close());
beforeEach(() => stage.clear());

describe('a night of reconciliation', () => {
  it.each([
    [0, 'nothing', { within_tolerance: 0, corrected: 0, alerted: 0, corrected_cents: 0 }],
    [1, 'nothing', { within_tolerance: 1, corrected: 0, alerted: 0, corrected_cents: 0 }],
    [-1, 'nothing', { within_tolerance: 1, corrected: 0, alerted: 0, corrected_cents: 0 }],
    [2, 'corrected', { within_tolerance: 0, corrected: 1, alerted: 0, corrected_cents: 2 }],
    [-2, 'corrected', { within_tolerance: 0, corrected: 1, alerted: 0, corrected_cents: 2 }],
    [100, 'corrected', { within_tolerance: 0, corrected: 1, alerted: 0, corrected_cents: 100 }],
    [-100, 'corrected', { within_tolerance: 0, corrected: 1, alerted: 0, corrected_cents: 100 }],
    [101, 'alerted', { within_tolerance: 0, corrected: 0, alerted: 1, corrected_cents: 0 }],
    [-101, 'alerted', { within_tolerance: 0, corrected: 0, alerted: 1, corrected_cents: 0 }],
  ])('meets a difference of %i cents: %s', async (cents, action, counts) => {
    const providerId = await stage.drifted(cents);
    expect(await stage.run()).toMatchObject(counts);
    expect(await stage.balanceOf(providerId)).toBe(action === 'corrected' ? 10_500 : 10_500 + cents);
    const expected = [{ action, cause: 'difference', diff_cents: cents, broken_version: null }];
    expect(await stage.recordsOf(providerId)).toEqual(action === 'nothing' ? [] : expected);
    // The next night finds what this one left, and nothing that it settled.
    const next = await stage.run();
    expect(next).toMatchObject({ ...counts, corrected: 0, corrected_cents: 0 });
    expect((await stage.recordsOf(providerId)).length).toBe(action === 'nothing' ? 0 : 1);
    expect(await stage.brokenMoney()).toEqual([]);
  });

  it('keeps its counts and sums, also when everything agrees', async () => {
    const runId = randomUUID();
    const { providers } = await stage.run({ runId });
    const { rows } = await stage.db.query(sql`
      select providers, balance_cents = ledger_cents as agree, corrected, alerted, open_cases, finished_at is not null as ended
      from v_reconciliation_run where id = ${runId}`);
    expect(rows).toEqual([{ providers, agree: true, corrected: 0, alerted: 0, open_cases: 0, ended: true }]);
  });

  it('leaves a record, a fact, an audit row and a line for what it corrects', async () => {
    const providerId = await stage.drifted(37);
    const runId = randomUUID();
    await stage.run({ runId });
    const { rows: facts } = await stage.db.query(sql`
      select e.type, e.payload from ops.event_outbox e join balance_correction c on e.aggregate_id = c.id::text
      where c.provider_id = ${providerId}`);
    expect(facts).toEqual([
      { type: 'balance.corrected', payload: { provider_id: providerId, cached_cents: 10_537, ledger_cents: 10_500 } },
    ]);
    const { rows: audited } = await stage.db.query(sql`
      select action, actor, details ->> 'diff_cents' as diff, details ->> 'run_id' as run from ops.audit_log
      where target_id = ${providerId} and action like 'billing.balance%'`);
    expect(audited).toEqual([{ action: 'billing.balance_corrected', actor: 'system', diff: '37', run: runId }]);
    expect(stage.logged('balance_corrected').map((line) => line.metadata.diff_cents)).toEqual([37]);
  });

  it('tells a person of what it must not touch every night, and opens one case', async () => {
    const providerId = await stage.drifted(-4_000);
    const before = stage.world.metrics.counts['billingFailure.reconcile.discrepancy'] ?? 0;
    await stage.run();
    await stage.run();
    expect(await stage.recordsOf(providerId)).toEqual([
      { action: 'alerted', cause: 'difference', diff_cents: -4_000, broken_version: null },
    ]);
    expect((stage.world.metrics.counts['billingFailure.reconcile.discrepancy'] ?? 0) - before).toBe(2);
    expect(stage.logged('balance_discrepancy_alert')).toHaveLength(2);
    const { rows } = await stage.db.query(sql`
      select count(*)::int as facts from ops.event_outbox e join balance_correction c on e.aggregate_id = c.id::text
      where c.provider_id = ${providerId} and e.type = 'balance.discrepancy_found'`);
    expect(rows).toEqual([{ facts: 1 }]);
  });

  it('explains entries that carried a small difference on, and finds them no more', async () => {
    const providerId = await stage.drifted(60);
    await stage.world.make.credit({ providerId, amountCents: 300 });
    expect(await stage.brokenMoney()).toContain('M2');
    expect(await stage.run()).toMatchObject({ corrected: 1, corrected_cents: 60 });
    expect(await stage.recordsOf(providerId)).toEqual([
      { action: 'corrected', cause: 'difference', diff_cents: 60, broken_version: 3 },
    ]);
    await stage.world.make.credit({ providerId, amountCents: 200 });
    expect(await stage.run()).toMatchObject({ within_tolerance: 0, corrected: 0, alerted: 0 });
    expect([await stage.brokenMoney(), await brokenInvariants(stage.db)]).toEqual([[], {}]);
    expect(await stage.balanceOf(providerId)).toBe(11_000);
  });

  it('raises an alarm of its own over more than twenty corrections', async () => {
    const ids: string[] = [];
    for (let at = 0; at < 21; at += 1) ids.push(await stage.drifted(5));
    await stage.run();
    expect(stage.logged('balance_corrections_many')).toHaveLength(1);
    for (const id of ids.slice(1)) await stage.drift(id, 5);
    stage.world.lines.length = 0;
    await stage.run();
    expect(stage.logged('balance_corrections_many')).toEqual([]);
  });
});

describe('what a correction leaves behind', () => {
  it('is subscriptions by the corrected balance: what it pays is active, what it does not is paused, what its owner paused stays', async () => {
    const { id: nicheId } = await stage.world.make.niche();
    const { id: dear } = await stage.world.make.level({ nicheId, priceCents: 10_500 });
    const { id: dearer } = await stage.world.make.level({ nicheId, priceCents: 10_550 });
    const low = await stage.drifted(-40);
    const high = await stage.drifted(80);
    const woken = await stage.world.make.subscription({ providerId: low, levelId: dear, status: 'paused_funds' });
    const resting = await stage.world.make.subscription({ providerId: low, levelId: dearer, status: 'paused_user' });
    const slept = await stage.world.make.subscription({ providerId: high, levelId: dearer });
    const kept = await stage.world.make.subscription({ providerId: high, levelId: dear });
    await stage.run();
    const { rows } = await stage.db.query<{ id: string; status: string }>(
      sql`select id, status from subscription where provider_id in (${low}, ${high})`,
    );
    const status = new Map(rows.map((row) => [row.id, row.status]));
    expect([woken, resting, slept, kept].map(({ id }) => status.get(id))).toEqual([
      'active',
      'paused_user',
      'paused_funds',
      'active',
    ]);
    const { rows: mails } = await stage.db.query(sql`
      select template from v_email where related_id in (${low}::uuid, ${high}::uuid) order by template`);
    expect(mails.map((mail) => mail.template)).toEqual(['subscriptions_paused', 'subscriptions_resumed']);
  });
});

describe('a run beside other work', () => {
  it('judges an account as it is once its lock is free, the charge included that was under way', async () => {
    const { id: providerId } = await stage.world.make.provider();
    await stage.world.make.credit({ providerId, amountCents: 1_000 });
    await stage.drift(providerId, 30);
    let ended: Promise<unknown> = Promise.resolve();
    await stage.db.transaction(async (tx) => {
      const debit = { providerId, amountCents: -400, memo: 'taken meanwhile', actor: systemActor };
      await adjust(tx, debit, stage.world);
      ended = stage.run();
      // It has its snapshot, in which 30 cents are too much, and waits for the account.
      await vi.waitFor(async () => {
        const { rows } = await stage.db.query(sql`
          select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);
        expect(rows).toHaveLength(1);
      });
    });
    expect(await ended).toMatchObject({ corrected: 1, corrected_cents: 30, alerted: 0 });
    expect(await stage.balanceOf(providerId)).toBe(600);
    // The entry of the debit carried the 30 cents on.
    expect(await stage.recordsOf(providerId)).toMatchObject([{ diff_cents: 30, broken_version: 2 }]);
  });

  it('finds nothing in a market that charges and credits as it runs', async () => {
    const providers = await Promise.all(Array.from({ length: 8 }, () => stage.drifted(0)));
    let isOver = false;
    const busy = providers.map(async (providerId, at) => {
      while (!isOver) {
        await (at % 2 === 0 ? stage.take(providerId, 1) : stage.world.make.credit({ providerId, amountCents: 1 }));
      }
    });
    for (let night = 0; night < 5; night += 1)
      expect(await stage.run()).toMatchObject({ within_tolerance: 0, corrected: 0, alerted: 0 });
    isOver = true;
    await Promise.all(busy);
  });

  it('corrects once when two run at once', async () => {
    const ids: string[] = [];
    for (let at = 0; at < 6; at += 1) ids.push(await stage.drifted(at % 2 === 0 ? 50 : 5_000));
    const [one, other] = await Promise.all([stage.run(), stage.run()]);
    expect((one?.corrected ?? 0) + (other?.corrected ?? 0)).toBe(3);
    expect((await Promise.all(ids.map((id) => stage.recordsOf(id)))).map((records) => records.length)).toEqual([
      1, 1, 1, 1, 1, 1,
    ]);
  });

  it('goes on where it was stopped, and counts what it did before', async () => {
    for (let at = 0; at < 4; at += 1) await stage.drifted(10);
    const runId = randomUUID();
    const stop = new AbortController();
    const warn: typeof stage.world.log.warn = (event, metadata) => {
      stop.abort(new Error('stopped by a test'));
      stage.world.log.warn(event, metadata);
    };
    const log = Object.assign(Object.create(stage.world.log), { warn }) as typeof stage.world.log;
    await expect(stage.run({ runId, batch: 1, signal: stop.signal, log })).rejects.toThrow('stopped by a test');
    const { rows } = await stage.db.query(
      sql`select count(*)::int as done from balance_correction where run_id = ${runId}`,
    );
    expect(rows).toEqual([{ done: 1 }]);
    expect(await stage.run({ runId })).toMatchObject({ corrected: 4, corrected_cents: 40 });
    expect(await stage.brokenMoney()).toEqual([]);
  });
});
