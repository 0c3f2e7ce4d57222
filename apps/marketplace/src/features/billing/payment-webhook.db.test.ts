import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signedInAs } from '../../testing/http.ts';
import { type Deposits, now, openDeposits, success } from './deposits.fixture.ts';
import { expirePayments } from './expire-payments.ts';

let at: Deposits;
beforeAll(async () => {
  at = await openDeposits();
});
afterAll(() => at.close());

describe('the payment webhook', () => {
  it('credits a payment once, however often it is told', async () => {
    const { provider, paymentId } = await at.pendingPayment();
    const answers = [
      await at.report(success(paymentId)),
      await at.report(success(paymentId)),
      await at.report(success(paymentId)),
    ];
    expect(answers.map((answer) => [answer.statusCode, answer.json().changed])).toEqual([
      [200, true],
      [200, false],
      [200, false],
    ]);
    expect(await at.balance(provider)).toBe(5_000);
    const { rows } = await at.world.db.query(
      sql`select actor, via, details ->> 'status' as status from ops.audit_log where target_id = ${paymentId} and action = 'billing.deposit_ended'`,
    );
    expect(rows).toEqual([{ actor: 'gateway:acme', via: 'webhook', status: 'succeeded' }]);
  });

  it('credits a payment once when told ten times at once', async () => {
    const { provider, paymentId } = await at.pendingPayment();
    const answers = await Promise.all(Array.from({ length: 10 }, () => at.report(success(paymentId))));
    expect(answers.map((answer) => answer.statusCode)).toEqual(Array.from({ length: 10 }, () => 200));
    expect(answers.filter((answer) => answer.json().changed)).toHaveLength(1);
    expect(await at.balance(provider)).toBe(5_000);
  });

  it('ignores a failure that is told after the success', async () => {
    const { provider, paymentId } = await at.pendingPayment();
    await at.report(success(paymentId));
    const late = await at.report(success(paymentId, { status: 'failed' }));
    expect([late.statusCode, late.json().changed, late.json().payment.status]).toEqual([200, false, 'succeeded']);
    expect(await at.balance(provider)).toBe(5_000);
  });

  it.each(['failed', 'expired'])('credits nothing for a payment that %s, also not later', async (status) => {
    const { provider, paymentId } = await at.pendingPayment();
    expect((await at.report(success(paymentId, { status }))).json()).toMatchObject({
      changed: true,
      payment: { status },
    });
    const late = await at.report(success(paymentId));
    expect([late.statusCode, late.json().code]).toEqual([409, 'invalid_state']);
    expect(await at.balance(provider)).toBe(0);
  });

  it('is told the same event again and again, and something else under its id never', async () => {
    const { provider, paymentId } = await at.pendingPayment();
    const told = success(paymentId, { event_id: `evt-${paymentId}` });
    const answers = [await at.report(told), await at.report(told), await at.report({ ...told, status: 'failed' })];
    expect(answers.map((answer) => [answer.statusCode, answer.json().changed ?? answer.json().code])).toEqual([
      [200, true],
      [200, false],
      [422, 'idempotency_key_reused'],
    ]);
    const other = await at.pendingPayment();
    const stolen = await at.report(success(other.paymentId, { event_id: `evt-${paymentId}` }));
    expect([stolen.statusCode, stolen.json().code]).toEqual([422, 'idempotency_key_reused']);
    expect([await at.balance(provider), await at.balance(other.provider)]).toEqual([5_000, 0]);
    const { rows } = await at.db.query(sql`select status, changed from payment_event where payment_id = ${paymentId}`);
    expect(rows).toEqual([{ status: 'succeeded', changed: true }]);
  });

  it('hears one event ten times at once, and keeps it once', async () => {
    const { provider, paymentId } = await at.pendingPayment();
    const told = success(paymentId, { event_id: `evt-${paymentId}` });
    const answers = await Promise.all(Array.from({ length: 10 }, () => at.report(told)));
    expect(answers.filter((answer) => answer.json().changed)).toHaveLength(1);
    expect(await at.balance(provider)).toBe(5_000);
  });

  it('takes events in any order: what is late is kept, and moves nothing', async () => {
    const { provider, paymentId } = await at.pendingPayment();
    const tell = (status: string) => at.report(success(paymentId, { status, event_id: `${status}-${paymentId}` }));
    const answers = [await tell('succeeded'), await tell('pending'), await tell('failed'), await tell('expired')];
    expect(answers.map((answer) => [answer.statusCode, answer.json().changed, answer.json().payment.status])).toEqual([
      [200, true, 'succeeded'],
      [200, false, 'succeeded'],
      [200, false, 'succeeded'],
      [200, false, 'succeeded'],
    ]);
    expect(await at.balance(provider)).toBe(5_000);
    const { rows } = await at.db.query(sql`
      select status, changed from payment_event where payment_id = ${paymentId} order by created_at`);
    expect(rows).toEqual([
      { status: 'succeeded', changed: true },
      { status: 'pending', changed: false },
      { status: 'failed', changed: false },
      { status: 'expired', changed: false },
    ]);
  });

  it('keeps the first ending of a payment without money', async () => {
    const { paymentId } = await at.pendingPayment();
    const answers = [
      await at.report(success(paymentId, { status: 'expired' })),
      await at.report(success(paymentId, { status: 'failed' })),
    ];
    expect(answers.map((answer) => [answer.json().changed, answer.json().payment.status])).toEqual([
      [true, 'expired'],
      [false, 'expired'],
    ]);
  });

  it('credits days later, under a new signature, and shows the deposit as pending until then', async () => {
    const { provider, paymentId } = await at.pendingPayment();
    await at.db.query(sql`update payment set created_at = now() - interval '3 days' where id = ${paymentId}`);
    const waiting = await at.app.inject({ url: '/provider/balance', headers: signedInAs(provider.userId, 'provider') });
    expect(waiting.json()).toMatchObject({ balance_cents: 0, pending_cents: 5_000 });
    const { pending_age } = await at.stocks();
    expect(pending_age).toBeGreaterThan(3 * 86_400 - 60);
    await at.report(success(paymentId));
    const settled = await at.app.inject({ url: '/provider/balance', headers: signedInAs(provider.userId, 'provider') });
    expect(settled.json()).toMatchObject({ balance_cents: 5_000, pending_cents: 0 });
    expect((await at.stocks()).pending_age).toBeLessThan(60);
  });

  describe('of a payment that nobody told of for seven days', () => {
    const expire = () =>
      at.db.transaction((tx) => expirePayments(tx, { now: new Date(), limit: 500 }, { log: at.world.log }));
    async function forgotten(days = 8) {
      const made = await at.pendingPayment();
      await at.db.query(
        sql`update payment set created_at = now() - ${days}::int * interval '1 day' where id = ${made.paymentId}`,
      );
      return made;
    }
    const statusOf = async (paymentId: string) =>
      (await at.db.query(sql`select status, gateway from payment where id = ${paymentId}`)).rows[0];

    it('finds it expired, and credits it none the less, once', async () => {
      const { provider, paymentId } = await forgotten();
      const young = await forgotten(6);
      expect((await at.stocks()).pending_age).toBeGreaterThan(8 * 86_400 - 60);
      expect([await expire(), await expire()]).toEqual([1, 0]);
      expect(await statusOf(paymentId)).toEqual({ status: 'expired', gateway: null });
      expect(await statusOf(young.paymentId)).toMatchObject({ status: 'pending' });
      expect((await at.stocks()).pending_age).toBeLessThan(7 * 86_400);
      const answers = [await at.report(success(paymentId)), await at.report(success(paymentId))];
      expect(answers.map((answer) => [answer.statusCode, answer.json().changed])).toEqual([
        [200, true],
        [200, false],
      ]);
      expect([await at.balance(provider), await at.balance(young.provider)]).toEqual([5_000, 0]);
      const { rows } = await at.db.query(sql`
        select actor, details ->> 'status' as status from ops.audit_log
        where target_id = ${paymentId} and action = 'billing.deposit_ended' order by at`);
      expect(rows).toEqual([
        { actor: 'system', status: 'expired' },
        { actor: 'gateway:acme', status: 'succeeded' },
      ]);
    });

    it.each(['failed', 'expired'])('takes that it %s for the ending', async (status) => {
      const { provider, paymentId } = await forgotten();
      await expire();
      expect((await at.report(success(paymentId, { status }))).json()).toMatchObject({ changed: true });
      expect(await statusOf(paymentId)).toEqual({ status, gateway: 'acme' });
      expect((await at.report(success(paymentId))).statusCode).toBe(409);
      expect(await at.balance(provider)).toBe(0);
    });
  });

  it('lists what waits for the staff, oldest first', async () => {
    const { provider, paymentId } = await at.pendingPayment();
    const second = (await at.depositOf(provider, 7_000)).json().payment.id as string;
    const list = async (query: string) =>
      (
        await at.app.inject({
          url: `/admin/payments?provider_id=${provider.id}&${query}`,
          headers: signedInAs(provider.userId, 'admin'),
        })
      ).json();
    const first = await list('limit=1');
    const next = await list(`limit=1&cursor=${first.pagination.next_cursor}`);
    expect([...first.items, ...next.items].map((item) => item.id)).toEqual([paymentId, second]);
    await at.report(success(paymentId));
    expect((await list('status=pending')).items).toMatchObject([{ id: second, amount_cents: 7_000, gateway: null }]);
    expect((await list('status=succeeded')).items).toMatchObject([{ id: paymentId, gateway: 'acme' }]);
  });

  it('counts what a gateway tells that cannot be true, and names it in the log', async () => {
    const { paymentId } = await at.pendingPayment();
    const before = at.world.metrics.counts['billingFailure.deposit.contradiction'] ?? 0;
    await at.report(success(paymentId, { status: 'failed' }));
    await at.report(success(paymentId));
    await at.report(success(paymentId), { secret: 'guessed' });
    expect((at.world.metrics.counts['billingFailure.deposit.contradiction'] ?? 0) - before).toBe(1);
    const told = at.world.lines
      .map((line) => JSON.parse(line))
      .filter((line) => line.metadata?.payment_id === paymentId);
    expect(told.map((line) => [line.event, line.metadata.code ?? line.metadata.status])).toContainEqual([
      'payment_report_refused',
      'invalid_state',
    ]);
  });

  it('changes nothing when told that a payment is pending', async () => {
    const { paymentId } = await at.pendingPayment();
    expect((await at.report(success(paymentId, { status: 'pending' }))).json()).toMatchObject({
      changed: false,
      payment: { status: 'pending' },
    });
  });

  it.each<[string, Parameters<Deposits['report']>[1]]>([
    ['too old', { at: new Date(now.getTime() - 301_000) }],
    ['from the future', { at: new Date(now.getTime() + 301_000) }],
    ['made with another secret', { secret: 'guessed' }],
    ['of another body', { signed: '{}' }],
  ])('refuses a signature %s', async (_case, forgery) => {
    const { provider, paymentId } = await at.pendingPayment();
    const answer = await at.report(success(paymentId), forgery);
    expect([answer.statusCode, answer.json().code]).toEqual([401, 'signature_invalid']);
    expect(await at.balance(provider)).toBe(0);
  });

  it('refuses a request without a signature before it looks at the body', async () => {
    for (const payload of ['{}', 'not json', '', '['.repeat(500)]) {
      const answer = await at.app.inject({
        method: 'POST',
        url: '/webhooks/payments',
        headers: { 'content-type': 'application/json' },
        payload,
      });
      expect(answer.statusCode).toBe(401);
    }
  });

  it('refuses another amount, an unknown payment, and one of another provider', async () => {
    const { provider, paymentId } = await at.pendingPayment();
    const answers = await Promise.all([
      at.report(success(paymentId, { amount_cents: 50_000 })),
      at.report(success(randomUUID())),
      at.report(success(paymentId, { provider_id: randomUUID() })),
    ]);
    expect(answers.map((answer) => [answer.statusCode, answer.json().code])).toEqual([
      [409, 'amount_mismatch'],
      [404, 'not_found'],
      [404, 'not_found'],
    ]);
    expect(await at.balance(provider)).toBe(0);
  });

  it('refuses to settle two payments with one of the gateway, and one payment with two', async () => {
    const first = await at.pendingPayment();
    const second = await at.pendingPayment();
    await at.report(success(first.paymentId));
    const reused = await at.report({ ...success(second.paymentId), external_id: `ext-${first.paymentId}` });
    const doubled = await at.report({ ...success(first.paymentId), external_id: 'another' });
    expect([reused.statusCode, doubled.statusCode]).toEqual([409, 409]);
    expect([await at.balance(first.provider), await at.balance(second.provider)]).toEqual([5_000, 0]);
  });

  it.each([
    ['unknown fields', { admin: true }],
    ['a negative amount', { amount_cents: -5_000 }],
    ['an unknown status', { status: 'refunded' }],
    ['NUL in an id', { external_id: 'a\u0000b' }],
    ['a malformed id', { payment_id: '1' }],
  ])('refuses %s, though signed', async (_case, extra) => {
    const answer = await at.report(success(randomUUID(), extra));
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'validation_failed']);
  });
});
