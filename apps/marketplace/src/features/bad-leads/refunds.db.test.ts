import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { brokenInvariants } from '../../testing/distribution.ts';
import { nth } from '../../testing/nth.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { memo, moneyOf, openMarket } from './market.fixture.ts';

let world: TestWorld;
let market: Awaited<ReturnType<typeof openMarket>>;

beforeAll(async () => {
  world = await openTestWorld();
  market = await openMarket(world, { providers: 3 });
});
afterAll(async () => {
  await market.server.close();
  await world.close();
});

/** A sold lead; each of the providers `who` has reported it. */
async function soldLead({ source, reportedBy = [0] }: { source?: string; reportedBy?: number[] } = {}) {
  const sold = await market.sell(source === undefined ? {} : { source });
  for (const who of reportedBy) {
    const by = nth(market.providers, who);
    await world.db.query(sql`
      insert into bad_lead_report (assignment_id, provider_id, reason, status, via, reported_at)
      values (${sold.of(by)}, ${by.id}, 'spam', 'pending', 'report', now())`);
  }
  return { ...sold, ids: market.providers.map((by) => sold.of(by)), id: sold.of(nth(market.providers, 0)) };
}

async function refundsOf(ids: readonly string[]) {
  const { rows } = await world.db.query(sql`
    select assignment_id, amount_cents from v_ledger_entry
    where kind = 'lead_refund' and assignment_id = any(${ids}::uuid[]) order by assignment_id`);
  return rows;
}

async function mailsOf(ids: readonly string[]) {
  const { rows } = await world.db.query(sql`
    select template, variables from email
    where related_id = any(${ids}) and template in ('bad_lead_decided', 'lead_refunded') order by template`);
  return rows;
}

describe('the approval of a report', () => {
  it('gives back the price charged, whatever the level costs now, tells the provider, and wakes what that pays', async () => {
    const { id, leadId } = await soldLead();
    const provider = nth(market.providers, 0);
    const before = await moneyOf(world, provider.id);
    const elsewhere = await world.make.niche();
    const dear = await world.make.level({ nicheId: elsewhere.id, priceCents: before.balance + 1 });
    const asleep = await world.make.subscription({ providerId: provider.id, levelId: dear.id, status: 'paused_funds' });
    await world.db.query(sql`update level set price_cents = 9999 where id = ${market.level.id}`);
    const { status, body } = await market.asAdmin('POST', `/admin/bad-leads/${id}/approve`, { memo });
    await world.db.query(sql`update level set price_cents = 2800 where id = ${market.level.id}`);
    const balance = before.balance + 2_800;
    expect([status, body]).toMatchObject([
      200,
      { assignment_id: id, status: 'approved', changed: true, refund: { amount_cents: 2_800, balance_cents: balance } },
    ]);
    expect((await moneyOf(world, provider.id)).balance).toBe(balance);
    const variables = { assignment_id: id, outcome: 'approved', amount_cents: 2_800, balance_after_cents: balance };
    expect(await mailsOf([id])).toEqual([{ template: 'bad_lead_decided', variables }]);
    const { rows } = await world.db.query(sql`select status from v_subscription where id = ${asleep.id}`);
    expect(rows).toEqual([{ status: 'active' }]);
    const { rows: events } = await world.db.query(sql`
      select type, payload from ops.event_outbox
      where payload ->> 'assignment_id' = ${id} and type in ('bad_lead.decided', 'balance.refunded') order by type`);
    expect(events).toMatchObject([
      { type: 'bad_lead.decided', payload: { assignment_id: id, outcome: 'approved' } },
      {
        type: 'balance.refunded',
        payload: { provider_id: provider.id, amount_cents: 2_800, balance_after_cents: balance, assignment_id: id },
      },
    ]);
    const { rows: audit } = await world.db.query(
      sql`select action, reason, details from ops.audit_log where target_id = ${id}`,
    );
    const details = { lead_id: leadId, provider_id: provider.id, refund_cents: 2_800 };
    expect(audit).toEqual([{ action: 'bad_lead.approved', reason: memo, details }]);
  });

  it('asked for again changes nothing, and a rejection after it is refused', async () => {
    const { id } = await soldLead();
    await market.asAdmin('POST', `/admin/bad-leads/${id}/approve`, { memo });
    const again = await market.asAdmin('POST', `/admin/bad-leads/${id}/approve`, { memo });
    expect([again.status, again.body]).toEqual([
      200,
      { assignment_id: id, status: 'approved', changed: false, refund: null },
    ]);
    const reject = await market.asAdmin('POST', `/admin/bad-leads/${id}/reject`, { memo });
    expect([reject.status, reject.body.code]).toEqual([409, 'invalid_state']);
    expect(await refundsOf([id])).toHaveLength(1);
  });

  it('needs a report and a memo', async () => {
    const { id } = await soldLead({ reportedBy: [] });
    expect((await market.asAdmin('POST', `/admin/bad-leads/${id}/approve`, { memo })).body.code).toBe('not_found');
    expect((await market.asAdmin('POST', `/admin/bad-leads/${id}/approve`, { memo: 'short' })).status).toBe(400);
    expect((await market.asAdmin('POST', `/admin/bad-leads/${id}/approve`, {})).status).toBe(400);
  });

  it('takes a memo of ten to five hundred characters of any kind', async () => {
    const { id } = await soldLead();
    const statuses = [];
    for (const length of [9, 501, 500, 10]) {
      const { status } = await market.asAdmin('POST', `/admin/bad-leads/${id}/approve`, { memo: '🙂'.repeat(length) });
      statuses.push(status);
    }
    expect(statuses).toEqual([400, 400, 200, 200]);
  });
});

describe('the rejection of a report', () => {
  it('moves no money, tells the provider, and stands', async () => {
    const { id } = await soldLead();
    const { body } = await market.asAdmin('POST', `/admin/bad-leads/${id}/reject`, { memo });
    expect(body).toEqual({ assignment_id: id, status: 'rejected', changed: true, refund: null });
    expect((await market.asAdmin('POST', `/admin/bad-leads/${id}/reject`, { memo })).body.changed).toBe(false);
    expect((await market.asAdmin('POST', `/admin/bad-leads/${id}/approve`, { memo })).body.code).toBe('invalid_state');
    expect(await refundsOf([id])).toEqual([]);
    expect(await mailsOf([id])).toMatchObject([{ template: 'bad_lead_decided', variables: { outcome: 'rejected' } }]);
  });
});

describe('a refund out of goodwill', () => {
  it('needs no report, and is refused after any refund', async () => {
    const { id } = await soldLead({ reportedBy: [] });
    const first = await market.asAdmin('POST', `/admin/assignments/${id}/refund`, { memo });
    expect([first.status, first.body.refund.amount_cents]).toEqual([200, 2_800]);
    const second = await market.asAdmin('POST', `/admin/assignments/${id}/refund`, { memo });
    expect([second.status, second.body.code]).toEqual([409, 'already_refunded']);
    expect(await mailsOf([id])).toMatchObject([{ template: 'lead_refunded', variables: { amount_cents: 2_800 } }]);
    expect((await market.asAdmin('POST', `/admin/assignments/${randomUUID()}/refund`, { memo })).status).toBe(404);
  });

  it('answers a report that waits, and stands over one that was turned down', async () => {
    const [waiting, turnedDown] = [await soldLead(), await soldLead()];
    await market.asAdmin('POST', `/admin/bad-leads/${turnedDown.id}/reject`, { memo });
    for (const { id } of [waiting, turnedDown]) {
      expect((await market.asAdmin('POST', `/admin/assignments/${id}/refund`, { memo })).status).toBe(200);
      expect((await market.asAdmin('POST', `/admin/bad-leads/${id}/approve`, { memo })).body).toMatchObject({
        changed: false,
        status: 'approved',
      });
    }
  });

  it('is answered the same way under the same key, and is needed to have one', async () => {
    const { id } = await soldLead();
    const key = randomUUID();
    const ends = await Promise.all(
      [1, 2].map(() => market.withKey(key, 'POST', `/admin/assignments/${id}/refund`, { memo })),
    );
    expect(ends.map((end) => end.status)).toEqual([200, 200]);
    expect(nth(ends, 0).body).toEqual(nth(ends, 1).body);
    expect((await market.withoutKey('POST', `/admin/assignments/${id}/refund`, { memo })).body.code).toBe(
      'idempotency_key_required',
    );
  });
});

describe('many decisions in one request', () => {
  it('are each their own: what cannot be is its own result, and the rest is done', async () => {
    const [one, two, unreported] = [await soldLead(), await soldLead(), await soldLead({ reportedBy: [] })];
    await market.asAdmin('POST', `/admin/bad-leads/${two.id}/reject`, { memo });
    const request = { action: 'approve', ids: [one.id, two.id, unreported.id, one.id], memo };
    const key = randomUUID();
    const { body } = await market.withKey(key, 'POST', '/admin/bad-leads/bulk', request);
    expect(body.results).toEqual([
      { id: one.id, ok: true, changed: true },
      { id: two.id, ok: false, changed: false, code: 'invalid_state' },
      { id: unreported.id, ok: false, changed: false, code: 'not_found' },
    ]);
    const again = await market.withKey(key, 'POST', '/admin/bad-leads/bulk', request);
    expect([again.body, again.headers['idempotency-replayed']]).toEqual([body, 'true']);
    const other = await market.withKey(key, 'POST', '/admin/bad-leads/bulk', { ...request, action: 'reject' });
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused']);
  });

  it('are fifty at most', async () => {
    const ids = Array.from({ length: 51 }, () => randomUUID());
    expect((await market.asAdmin('POST', '/admin/bad-leads/bulk', { action: 'approve', ids, memo })).status).toBe(400);
  });
});

describe('marking leads bad', () => {
  const mark = (body: object) => market.asAdmin('POST', '/admin/leads/mark-bad', { memo, ...body });
  const planIn = (body: { leads: number; assignments: number; providers: number; refund_cents: number }) => {
    const { leads, assignments, providers, refund_cents } = body;
    return { leads, assignments, providers, refund_cents };
  };

  it('of a source shows first what it refunds, then refunds exactly that to every buyer', async () => {
    const source = `source-${randomUUID()}`;
    const leads = [await soldLead({ source }), await soldLead({ source }), await soldLead({ source, reportedBy: [] })];
    const ids = leads.flatMap((lead) => lead.ids);
    await market.asAdmin('POST', `/admin/assignments/${nth(ids, 0)}/refund`, { memo });
    const preview = await mark({ source, dry_run: true });
    const expected = { leads: 3, assignments: 8, providers: 3, refund_cents: 8 * 2_800 };
    expect(preview.body).toEqual({ ...expected, dry_run: true, has_more: false, results: [] });
    expect(await refundsOf(ids)).toHaveLength(1);
    const done = await mark({ source, expected: planIn(preview.body) });
    expect(planIn(done.body)).toEqual(expected);
    expect(done.body.results).toEqual(leads.map(({ leadId }) => ({ id: leadId, ok: true, changed: true })));
    expect(await refundsOf(ids)).toEqual(
      ids.toSorted().map((assignment_id) => ({ assignment_id, amount_cents: 2_800 })),
    );
    expect(await mailsOf(ids)).toHaveLength(9);
    const { rows } = await world.db.query(sql`
      select payload from ops.event_outbox where type = 'lead.marked_bad' and aggregate_id = ${nth(leads, 0).leadId}`);
    expect(rows).toMatchObject([{ payload: { refunds: 2, refund_cents: 5_600 } }]);
    const { rows: after } = await world.db.query(sql`
      select distinct l.status, r.status as report from v_lead l join v_assignment a on a.lead_id = l.id
      join v_bad_lead_report r on r.assignment_id = a.id where l.source = ${source}`);
    expect(after).toEqual([{ status: 'bad', report: 'approved' }]);
  });

  it('changes nothing when what was seen is no longer so', async () => {
    const { leadId, ids } = await soldLead();
    const seen = planIn((await mark({ ids: [leadId], dry_run: true })).body);
    await market.asAdmin('POST', `/admin/assignments/${nth(ids, 1)}/refund`, { memo });
    const { status, body } = await mark({ ids: [leadId], expected: seen });
    expect([status, body.code]).toEqual([409, 'plan_drifted']);
    expect(body.details.present).toEqual({ leads: 1, assignments: 2, providers: 2, refund_cents: 5_600 });
    expect(await refundsOf(ids)).toHaveLength(1);
  });

  it('leaves leads alone that are not sold', async () => {
    const { id } = await world.make.lead({ nicheId: market.niche.id });
    const { body } = await mark({ ids: [id, randomUUID()], dry_run: true });
    expect(planIn(body)).toEqual({ leads: 0, assignments: 0, providers: 0, refund_cents: 0 });
  });

  it.each([
    [{ dry_run: true }],
    [{ ids: [], dry_run: true }],
    [{ ids: [randomUUID()], source: 'both', dry_run: true }],
    [{ source: 'unseen' }],
    [{ source: 'unseen', expected: { leads: 1 } }],
    [{ source: 'unseen', dry_run: true, memo: 'short' }],
  ])('refuses %j', async (body) => {
    expect((await mark(body)).body.code).toBe('validation_failed');
  });

  it('answers a repeat under its key with what the first one did', async () => {
    const { leadId } = await soldLead();
    const expected = planIn((await mark({ ids: [leadId], dry_run: true })).body);
    const key = randomUUID();
    const request = { ids: [leadId], memo, expected };
    const first = await market.withKey(key, 'POST', '/admin/leads/mark-bad', request);
    const second = await market.withKey(key, 'POST', '/admin/leads/mark-bad', request);
    expect([second.body, second.headers['idempotency-replayed']]).toEqual([first.body, 'true']);
    expect(first.body.assignments).toBe(3);
  });
});

describe('marking leads bad', () => {
  const run = (text: string) => world.db.query({ name: '', text, values: [] });
  /** Three sold leads, and how to mark them under one key; a refund of the second fails with a code while it is planted. */
  async function planted(code: string) {
    const leads = [await soldLead(), await soldLead(), await soldLead()];
    const expected = { leads: 3, assignments: 9, providers: 3, refund_cents: 9 * 2_800 };
    const request = { ids: leads.map((lead) => lead.leadId), memo, expected };
    const key = randomUUID();
    await run(`create or replace function fail_refund() returns trigger language plpgsql
               as $$ begin raise 'planted' using errcode = '${code}'; end $$`);
    await run(`create trigger planted before insert on ledger_entry for each row
               when (new.assignment_id = '${nth(leads, 1).id}') execute function fail_refund()`);
    return {
      leads,
      expected,
      mark: () => market.withKey(key, 'POST', '/admin/leads/mark-bad', request),
      refunded: () => Promise.all(leads.map(async ({ ids }) => (await refundsOf(ids)).length)),
      mend: () => run('drop trigger planted on ledger_entry'),
    };
  }

  it('that is broken off in the middle goes on under its key with what is left of the same leads, and answers for all of them', async () => {
    const { leads, expected, mark, refunded, mend } = await planted('57P01');
    expect((await mark()).status).toBe(503);
    expect(await refunded()).toEqual([3, 0, 0]);
    await mend();
    const second = await mark();
    expect([second.status, second.headers['idempotency-replayed']]).toEqual([200, undefined]);
    expect(second.body).toMatchObject({ ...expected, dry_run: false });
    expect(second.body.results).toEqual(leads.map(({ leadId }) => ({ id: leadId, ok: true, changed: true })));
    const third = await mark();
    expect([third.body, third.headers['idempotency-replayed']]).toEqual([second.body, 'true']);
    expect(await refunded()).toEqual([3, 3, 3]);
  });

  it('goes on behind a lead that is at fault, which stays as it was and is marked by a repeat once it is mended', async () => {
    const { leads, expected, mark, refunded, mend } = await planted('P0001');
    const first = await mark();
    expect([first.status, first.body]).toMatchObject([200, { leads: 2, assignments: 6 }]);
    expect(first.body.results[1]).toEqual({ id: nth(leads, 1).leadId, ok: false, changed: false, code: 'internal' });
    expect(await refunded()).toEqual([3, 0, 3]);
    await mend();
    expect((await mark()).body).toMatchObject(expected);
    expect(await refunded()).toEqual([3, 3, 3]);
  });
});

describe('what stands after all this', () => {
  it('breaks no invariant, and each refund was counted and measured once', async () => {
    expect(await brokenInvariants(world.db)).toEqual({});
    const { rows } = await world.db.query<{ refunds: number }>(
      sql`select count(*)::int as refunds from v_ledger_entry where kind = 'lead_refund'`,
    );
    expect(world.metrics.counts.refundsApproved).toBe(nth(rows, 0).refunds);
    expect(world.metrics.counts['billingOperationDurationMs.refund']).toBeGreaterThan(0);
    // Those of the refunds which were made to fail.
    expect(world.metrics.counts['billingFailure.refund.error']).toBe(2);
  });

  it('cannot be undone: a refund stays one, a report is never removed', async () => {
    const change = (text: string) => world.db.query({ name: '', text, values: [] });
    await expect(change(`update bad_lead_report set status = 'rejected' where status = 'approved'`)).rejects.toThrow(
      'refused',
    );
    await expect(change('delete from bad_lead_report')).rejects.toThrow('refused');
    await expect(change('truncate bad_lead_report')).rejects.toThrow('refused');
    await expect(change('update assignment set refunded_at = null where refunded_at is not null')).rejects.toThrow(
      'refused',
    );
    await change(`update bad_lead_report set notes = null where status = 'approved'`);
  });
});
