import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signedInAs } from '../../testing/http.ts';
import { nth } from '../../testing/nth.ts';
import { makeProvider } from '../../testing/subscriptions.ts';
import { type Deposits, key, openDeposits, success } from './deposits.fixture.ts';

let at: Deposits;
beforeAll(async () => {
  at = await openDeposits();
});
afterAll(() => at.close());

describe('a deposit', () => {
  it('is credited at once where deposits are instant, with a receipt', async () => {
    const provider = await makeProvider(at.db);
    const answer = await at.depositOf(provider, 5_000, at.instant);
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toMatchObject({
      balance_cents: 5_000,
      resumed: 0,
      payment: { amount_cents: 5_000, status: 'succeeded' },
    });
    const { rows } = await at.db.query(
      sql`select template from v_email where related_id = ${answer.json().payment.id as string}`,
    );
    expect(rows).toEqual([{ template: 'deposit_receipt' }]);
  });

  it('waits for the gateway otherwise', async () => {
    const { provider, paymentId } = await at.pendingPayment();
    expect(paymentId).toBeTypeOf('string');
    expect(await at.balance(provider)).toBe(0);
  });

  it('is made once under one key, and needs a key', async () => {
    const provider = await makeProvider(at.db);
    const headers = { ...signedInAs(provider.userId, 'provider'), ...key() };
    const ask = () =>
      at.instant.inject({ method: 'POST', url: '/provider/deposits', headers, payload: { amount_cents: 2_000 } });
    const answers = [await ask(), await ask()];
    expect(answers.map((answer) => answer.json().payment.id)).toEqual([
      nth(answers, 0).json().payment.id,
      nth(answers, 0).json().payment.id,
    ]);
    expect(await at.balance(provider)).toBe(2_000);
    const without = await at.app.inject({
      method: 'POST',
      url: '/provider/deposits',
      headers: signedInAs(provider.userId, 'provider'),
      payload: { amount_cents: 2_000 },
    });
    expect([without.statusCode, without.json().code]).toEqual([400, 'idempotency_key_required']);
  });

  it.each([999, 1_000_001, 1_000.5, -5_000, '5000', null])('of %j cents is refused', async (amount) => {
    const answer = await at.depositOf(await makeProvider(at.db), amount as number);
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'validation_failed']);
  });

  it('is refused beyond 20 that wait, however many ask at once, until one has ended', async () => {
    const provider = await makeProvider(at.db);
    const answers = await Promise.all(Array.from({ length: 23 }, () => at.depositOf(provider, 1_000)));
    const refused = answers.filter(({ statusCode }) => statusCode !== 201);
    expect(refused.map((answer) => [answer.statusCode, answer.json().code, answer.json().details])).toEqual(
      Array.from({ length: 3 }, () => [409, 'too_many', { most: 20 }]),
    );
    const paymentId = answers.find(({ statusCode }) => statusCode === 201)?.json().payment.id as string;
    await at.report(success(paymentId, { amount_cents: 1_000, status: 'failed' }));
    expect((await at.depositOf(provider, 1_000)).statusCode).toBe(201);
    expect((await at.depositOf(provider, 1_000)).statusCode).toBe(409);
    expect((await at.depositOf(await makeProvider(at.db), 1_000)).statusCode).toBe(201);
  });

  it('needs a verified address', async () => {
    const answer = await at.depositOf(await makeProvider(at.db, { emailVerified: false }), 5_000);
    expect([answer.statusCode, answer.json().code]).toEqual([403, 'email_unverified']);
  });
});
