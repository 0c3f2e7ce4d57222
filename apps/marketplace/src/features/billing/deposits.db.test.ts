import { randomUUID } from 'node:crypto';
import { type Database, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { nth } from '../../testing/nth.ts';
import { makeProvider } from '../../testing/subscriptions.ts';
import { openTestWorld } from '../../testing/world.ts';
import { readConfig } from '../../config.ts';
import { openTelemetry } from '../../telemetry.ts';
import { expirePayments } from './expire-payments.ts';
import { billingRoutes } from './routes.ts';
import { signWebhook } from './signature.ts';
import { watchMoney } from './stocks.ts';
import { paymentWebhookRoute } from './webhook-route.ts';

const webhookSecret = 'shared with the gateway';
const now = new Date('2026-01-05T10:30:00Z');
let world: Awaited<ReturnType<typeof openTestWorld>>;
let db: Database;
let app: FastifyInstance;
let instant: FastifyInstance;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  const deps = { db, metrics: world.metrics, log: world.log };
  app = await openTestServer(world.log, {
    routes: (server) => {
      billingRoutes(server, { ...deps, depositMode: 'gateway' });
      paymentWebhookRoute(server, { ...deps, webhookSecrets: [webhookSecret, 'the one before it'], now: () => now });
    },
  });
  instant = await openTestServer(world.log, {
    routes: (server) => billingRoutes(server, { ...deps, depositMode: 'instant' }),
  });
});
afterAll(async () => {
  await Promise.all([app.close(), instant.close()]);
  await world.close();
});

const key = () => ({ 'idempotency-key': randomUUID() });

async function depositOf(provider: { userId: string }, amount_cents: number, server = app) {
  const headers = { ...signedInAs(provider.userId, 'provider'), ...key() };
  return server.inject({ method: 'POST', url: '/provider/deposits', headers, payload: { amount_cents } });
}

async function pendingPayment(amount_cents = 5_000) {
  const provider = await makeProvider(db);
  const answer = await depositOf(provider, amount_cents);
  return { provider, paymentId: answer.json().payment.id as string };
}

function report(body: object, { secret = webhookSecret, at = now, signed = JSON.stringify(body) } = {}) {
  return app.inject({
    method: 'POST',
    url: '/webhooks/payments',
    headers: { 'content-type': 'application/json', 'x-fmhl-signature': signWebhook(signed, secret, at) },
    payload: JSON.stringify(body),
  });
}

function success(paymentId: string, extra: object = {}) {
  return {
    gateway: 'acme',
    external_id: `ext-${paymentId}`,
    payment_id: paymentId,
    amount_cents: 5_000,
    status: 'succeeded',
    ...extra,
  };
}

async function balance(provider: { userId: string }): Promise<number> {
  const answer = await app.inject({ url: '/provider/balance', headers: signedInAs(provider.userId, 'provider') });
  return answer.json().balance_cents as number;
}

/** What the metrics would say of payments. */
async function stocks(): Promise<{ pending: number; pending_age: number }> {
  const metrics = openTelemetry(readConfig({}), { role: 'test', logTo: { write() {} } }).metrics;
  watchMoney({ db, metrics });
  await metrics.render();
  return {
    pending: metrics.value('payments_pending') ?? Number.NaN,
    pending_age: metrics.value('payments_pending_oldest_age_seconds') ?? Number.NaN,
  };
}

describe('a deposit', () => {
  it('is credited at once where deposits are instant, with a receipt', async () => {
    const provider = await makeProvider(db);
    const answer = await depositOf(provider, 5_000, instant);
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toMatchObject({
      balance_cents: 5_000,
      resumed: 0,
      payment: { amount_cents: 5_000, status: 'succeeded' },
    });
    const { rows } = await db.query(
      sql`select template from v_email where related_id = ${answer.json().payment.id as string}`,
    );
    expect(rows).toEqual([{ template: 'deposit_receipt' }]);
  });

  it('waits for the gateway otherwise', async () => {
    const { provider, paymentId } = await pendingPayment();
    expect(paymentId).toBeTypeOf('string');
    expect(await balance(provider)).toBe(0);
  });

  it('is made once under one key, and needs a key', async () => {
    const provider = await makeProvider(db);
    const headers = { ...signedInAs(provider.userId, 'provider'), ...key() };
    const ask = () =>
      instant.inject({ method: 'POST', url: '/provider/deposits', headers, payload: { amount_cents: 2_000 } });
    const answers = [await ask(), await ask()];
    expect(answers.map((answer) => answer.json().payment.id)).toEqual([
      nth(answers, 0).json().payment.id,
      nth(answers, 0).json().payment.id,
    ]);
    expect(await balance(provider)).toBe(2_000);
    const without = await app.inject({
      method: 'POST',
      url: '/provider/deposits',
      headers: signedInAs(provider.userId, 'provider'),
      payload: { amount_cents: 2_000 },
    });
    expect([without.statusCode, without.json().code]).toEqual([400, 'idempotency_key_required']);
  });

  it.each([999, 1_000_001, 1_000.5, -5_000, '5000', null])('of %j cents is refused', async (amount) => {
    const answer = await depositOf(await makeProvider(db), amount as number);
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'validation_failed']);
  });

  it('is refused beyond 20 that wait, however many ask at once, until one has ended', async () => {
    const provider = await makeProvider(db);
    const answers = await Promise.all(Array.from({ length: 23 }, () => depositOf(provider, 1_000)));
    const refused = answers.filter(({ statusCode }) => statusCode !== 201);
    expect(refused.map((answer) => [answer.statusCode, answer.json().code, answer.json().details])).toEqual(
      Array.from({ length: 3 }, () => [409, 'too_many', { most: 20 }]),
    );
    const paymentId = answers.find(({ statusCode }) => statusCode === 201)?.json().payment.id as string;
    await report(success(paymentId, { amount_cents: 1_000, status: 'failed' }));
    expect((await depositOf(provider, 1_000)).statusCode).toBe(201);
    expect((await depositOf(provider, 1_000)).statusCode).toBe(409);
    expect((await depositOf(await makeProvider(db), 1_000)).statusCode).toBe(201);
  });

  it('needs a verified address', async () => {
    const answer = await depositOf(await makeProvider(db, { emailVerified: false }), 5_000);
    expect([answer.statusCode, answer.json().code]).toEqual([403, 'email_unverified']);
  });
});

describe('the payment webhook', () => {
  it('credits a payment once, however often it is told', async () => {
    const { provider, paymentId } = await pendingPayment();
    const answers = [
      await report(success(paymentId)),
      await report(success(paymentId)),
      await report(success(paymentId)),
    ];
    expect(answers.map((answer) => [answer.statusCode, answer.json().changed])).toEqual([
      [200, true],
      [200, false],
      [200, false],
    ]);
    expect(await balance(provider)).toBe(5_000);
    const { rows } = await world.db.query(
      sql`select actor, via, details ->> 'status' as status from ops.audit_log where target_id = ${paymentId} and action = 'billing.deposit_ended'`,
    );
    expect(rows).toEqual([{ actor: 'gateway:acme', via: 'webhook', status: 'succeeded' }]);
  });

  it('credits a payment once when told ten times at once', async () => {
    const { provider, paymentId } = await pendingPayment();
    const answers = await Promise.all(Array.from({ length: 10 }, () => report(success(paymentId))));
    expect(answers.map((answer) => answer.statusCode)).toEqual(Array.from({ length: 10 }, () => 200));
    expect(answers.filter((answer) => answer.json().changed)).toHaveLength(1);
    expect(await balance(provider)).toBe(5_000);
  });

  it('ignores a failure that is told after the success', async () => {
    const { provider, paymentId } = await pendingPayment();
    await report(success(paymentId));
    const late = await report(success(paymentId, { status: 'failed' }));
    expect([late.statusCode, late.json().changed, late.json().payment.status]).toEqual([200, false, 'succeeded']);
    expect(await balance(provider)).toBe(5_000);
  });

  it.each(['failed', 'expired'])('credits nothing for a payment that %s, also not later', async (status) => {
    const { provider, paymentId } = await pendingPayment();
    expect((await report(success(paymentId, { status }))).json()).toMatchObject({ changed: true, payment: { status } });
    const late = await report(success(paymentId));
    expect([late.statusCode, late.json().code]).toEqual([409, 'invalid_state']);
    expect(await balance(provider)).toBe(0);
  });

  it('is told the same event again and again, and something else under its id never', async () => {
    const { provider, paymentId } = await pendingPayment();
    const told = success(paymentId, { event_id: `evt-${paymentId}` });
    const answers = [await report(told), await report(told), await report({ ...told, status: 'failed' })];
    expect(answers.map((answer) => [answer.statusCode, answer.json().changed ?? answer.json().code])).toEqual([
      [200, true],
      [200, false],
      [422, 'idempotency_key_reused'],
    ]);
    const other = await pendingPayment();
    const stolen = await report(success(other.paymentId, { event_id: `evt-${paymentId}` }));
    expect([stolen.statusCode, stolen.json().code]).toEqual([422, 'idempotency_key_reused']);
    expect([await balance(provider), await balance(other.provider)]).toEqual([5_000, 0]);
    const { rows } = await db.query(sql`select status, changed from payment_event where payment_id = ${paymentId}`);
    expect(rows).toEqual([{ status: 'succeeded', changed: true }]);
  });

  it('hears one event ten times at once, and keeps it once', async () => {
    const { provider, paymentId } = await pendingPayment();
    const told = success(paymentId, { event_id: `evt-${paymentId}` });
    const answers = await Promise.all(Array.from({ length: 10 }, () => report(told)));
    expect(answers.filter((answer) => answer.json().changed)).toHaveLength(1);
    expect(await balance(provider)).toBe(5_000);
  });

  it('takes events in any order: what is late is kept, and moves nothing', async () => {
    const { provider, paymentId } = await pendingPayment();
    const tell = (status: string) => report(success(paymentId, { status, event_id: `${status}-${paymentId}` }));
    const answers = [await tell('succeeded'), await tell('pending'), await tell('failed'), await tell('expired')];
    expect(answers.map((answer) => [answer.statusCode, answer.json().changed, answer.json().payment.status])).toEqual([
      [200, true, 'succeeded'],
      [200, false, 'succeeded'],
      [200, false, 'succeeded'],
      [200, false, 'succeeded'],
    ]);
    expect(await balance(provider)).toBe(5_000);
    const { rows } = await db.query(sql`
      select status, changed from payment_event where payment_id = ${paymentId} order by created_at`);
    expect(rows).toEqual([
      { status: 'succeeded', changed: true },
      { status: 'pending', changed: false },
      { status: 'failed', changed: false },
      { status: 'expired', changed: false },
    ]);
  });

  it('keeps the first ending of a payment without money', async () => {
    const { paymentId } = await pendingPayment();
    const answers = [
      await report(success(paymentId, { status: 'expired' })),
      await report(success(paymentId, { status: 'failed' })),
    ];
    expect(answers.map((answer) => [answer.json().changed, answer.json().payment.status])).toEqual([
      [true, 'expired'],
      [false, 'expired'],
    ]);
  });

  it('credits days later, under a new signature, and shows the deposit as pending until then', async () => {
    const { provider, paymentId } = await pendingPayment();
    await db.query(sql`update payment set created_at = now() - interval '3 days' where id = ${paymentId}`);
    const waiting = await app.inject({ url: '/provider/balance', headers: signedInAs(provider.userId, 'provider') });
    expect(waiting.json()).toMatchObject({ balance_cents: 0, pending_cents: 5_000 });
    const { pending_age } = await stocks();
    expect(pending_age).toBeGreaterThan(3 * 86_400 - 60);
    await report(success(paymentId));
    const settled = await app.inject({ url: '/provider/balance', headers: signedInAs(provider.userId, 'provider') });
    expect(settled.json()).toMatchObject({ balance_cents: 5_000, pending_cents: 0 });
    expect((await stocks()).pending_age).toBeLessThan(60);
  });

  describe('of a payment that nobody told of for seven days', () => {
    const expire = () =>
      db.transaction((tx) => expirePayments(tx, { now: new Date(), limit: 500 }, { log: world.log }));
    async function forgotten(days = 8) {
      const made = await pendingPayment();
      await db.query(
        sql`update payment set created_at = now() - ${days}::int * interval '1 day' where id = ${made.paymentId}`,
      );
      return made;
    }
    const statusOf = async (paymentId: string) =>
      (await db.query(sql`select status, gateway from payment where id = ${paymentId}`)).rows[0];

    it('finds it expired, and credits it none the less, once', async () => {
      const { provider, paymentId } = await forgotten();
      const young = await forgotten(6);
      expect((await stocks()).pending_age).toBeGreaterThan(8 * 86_400 - 60);
      expect([await expire(), await expire()]).toEqual([1, 0]);
      expect(await statusOf(paymentId)).toEqual({ status: 'expired', gateway: null });
      expect(await statusOf(young.paymentId)).toMatchObject({ status: 'pending' });
      expect((await stocks()).pending_age).toBeLessThan(7 * 86_400);
      const answers = [await report(success(paymentId)), await report(success(paymentId))];
      expect(answers.map((answer) => [answer.statusCode, answer.json().changed])).toEqual([
        [200, true],
        [200, false],
      ]);
      expect([await balance(provider), await balance(young.provider)]).toEqual([5_000, 0]);
      const { rows } = await db.query(sql`
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
      expect((await report(success(paymentId, { status }))).json()).toMatchObject({ changed: true });
      expect(await statusOf(paymentId)).toEqual({ status, gateway: 'acme' });
      expect((await report(success(paymentId))).statusCode).toBe(409);
      expect(await balance(provider)).toBe(0);
    });
  });

  it('lists what waits for the staff, oldest first', async () => {
    const { provider, paymentId } = await pendingPayment();
    const second = (await depositOf(provider, 7_000)).json().payment.id as string;
    const list = async (query: string) =>
      (
        await app.inject({
          url: `/admin/payments?provider_id=${provider.id}&${query}`,
          headers: signedInAs(provider.userId, 'admin'),
        })
      ).json();
    const first = await list('limit=1');
    const next = await list(`limit=1&cursor=${first.pagination.next_cursor}`);
    expect([...first.items, ...next.items].map((item) => item.id)).toEqual([paymentId, second]);
    await report(success(paymentId));
    expect((await list('status=pending')).items).toMatchObject([{ id: second, amount_cents: 7_000, gateway: null }]);
    expect((await list('status=succeeded')).items).toMatchObject([{ id: paymentId, gateway: 'acme' }]);
  });

  it('counts what a gateway tells that cannot be true, and names it in the log', async () => {
    const { paymentId } = await pendingPayment();
    const before = world.metrics.counts['billingFailure.deposit.contradiction'] ?? 0;
    await report(success(paymentId, { status: 'failed' }));
    await report(success(paymentId));
    await report(success(paymentId), { secret: 'guessed' });
    expect((world.metrics.counts['billingFailure.deposit.contradiction'] ?? 0) - before).toBe(1);
    const told = world.lines.map((line) => JSON.parse(line)).filter((line) => line.metadata?.payment_id === paymentId);
    expect(told.map((line) => [line.event, line.metadata.code ?? line.metadata.status])).toContainEqual([
      'payment_report_refused',
      'invalid_state',
    ]);
  });

  it('changes nothing when told that a payment is pending', async () => {
    const { paymentId } = await pendingPayment();
    expect((await report(success(paymentId, { status: 'pending' }))).json()).toMatchObject({
      changed: false,
      payment: { status: 'pending' },
    });
  });

  it.each<[string, Parameters<typeof report>[1]]>([
    ['too old', { at: new Date(now.getTime() - 301_000) }],
    ['from the future', { at: new Date(now.getTime() + 301_000) }],
    ['made with another secret', { secret: 'guessed' }],
    ['of another body', { signed: '{}' }],
  ])('refuses a signature %s', async (_case, forgery) => {
    const { provider, paymentId } = await pendingPayment();
    const answer = await report(success(paymentId), forgery);
    expect([answer.statusCode, answer.json().code]).toEqual([401, 'signature_invalid']);
    expect(await balance(provider)).toBe(0);
  });

  it('refuses a request without a signature before it looks at the body', async () => {
    for (const payload of ['{}', 'not json', '', '['.repeat(500)]) {
      const answer = await app.inject({
        method: 'POST',
        url: '/webhooks/payments',
        headers: { 'content-type': 'application/json' },
        payload,
      });
      expect(answer.statusCode).toBe(401);
    }
  });

  it('refuses another amount, an unknown payment, and one of another provider', async () => {
    const { provider, paymentId } = await pendingPayment();
    const answers = await Promise.all([
      report(success(paymentId, { amount_cents: 50_000 })),
      report(success(randomUUID())),
      report(success(paymentId, { provider_id: randomUUID() })),
    ]);
    expect(answers.map((answer) => [answer.statusCode, answer.json().code])).toEqual([
      [409, 'amount_mismatch'],
      [404, 'not_found'],
      [404, 'not_found'],
    ]);
    expect(await balance(provider)).toBe(0);
  });

  it('refuses to settle two payments with one of the gateway, and one payment with two', async () => {
    const first = await pendingPayment();
    const second = await pendingPayment();
    await report(success(first.paymentId));
    const reused = await report({ ...success(second.paymentId), external_id: `ext-${first.paymentId}` });
    const doubled = await report({ ...success(first.paymentId), external_id: 'another' });
    expect([reused.statusCode, doubled.statusCode]).toEqual([409, 409]);
    expect([await balance(first.provider), await balance(second.provider)]).toEqual([5_000, 0]);
  });

  it.each([
    ['unknown fields', { admin: true }],
    ['a negative amount', { amount_cents: -5_000 }],
    ['an unknown status', { status: 'refunded' }],
    ['NUL in an id', { external_id: 'a\u0000b' }],
    ['a malformed id', { payment_id: '1' }],
  ])('refuses %s, though signed', async (_case, extra) => {
    const answer = await report(success(randomUUID(), extra));
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'validation_failed']);
  });
});
