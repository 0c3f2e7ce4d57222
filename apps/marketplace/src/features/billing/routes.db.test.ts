import { randomUUID } from 'node:crypto';
import { type Database, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeUser } from '../../testing/auth.ts';
import { makeCredit } from '../../testing/billing.ts';
import { brokenInvariants } from '../../testing/distribution.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { makeProvider } from '../../testing/subscriptions.ts';
import { openTestWorld } from '../../testing/world.ts';
import { billingRoutes } from './routes.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;
let db: Database;
let app: FastifyInstance;

beforeAll(async () => {
  world = await openTestWorld();
  db = world.db;
  app = await openTestServer(world.log, {
    routes: (server) => billingRoutes(server, { db, metrics: world.metrics, log: world.log, depositMode: 'gateway' }),
  });
});
afterAll(async () => {
  await app.close();
  await world.close();
});

const key = () => ({ 'idempotency-key': randomUUID() });

async function balance(provider: { userId: string }): Promise<number> {
  const answer = await app.inject({ url: '/provider/balance', headers: signedInAs(provider.userId, 'provider') });
  return answer.json().balance_cents as number;
}

describe('an adjustment', () => {
  const adjustment = async (providerId: string, payload: object, role: 'admin' | 'provider' = 'admin') => {
    const headers = { ...signedInAs((await makeUser(db)).id, role), ...key() };
    return app.inject({ method: 'POST', url: `/admin/providers/${providerId}/adjustments`, headers, payload });
  };

  it('adds and takes money, on record', async () => {
    const provider = await makeProvider(db);
    const added = await adjustment(provider.id, { amount_cents: 700, memo: 'goodwill for the outage' });
    const taken = await adjustment(provider.id, { amount_cents: -200, memo: 'correction of the goodwill' });
    expect([added.statusCode, added.json().balance_cents, taken.json().balance_cents]).toEqual([201, 700, 500]);
    const { rows } = await db.query(sql`
      select reason from ops.audit_log where target_id = ${provider.id} and action = 'billing.adjusted' order by seq`);
    expect(rows).toEqual([{ reason: 'goodwill for the outage' }, { reason: 'correction of the goodwill' }]);
  });

  it('pauses what the rest does not pay, resumes what a credit pays, and tells of both; the pause of its owner stays', async () => {
    const provider = await makeProvider(db);
    await makeCredit(db, { providerId: provider.id, amountCents: 5_000 }, world);
    const ids: string[] = [];
    for (const [priceCents, status] of [
      [4_000, 'active'],
      [1_000, 'active'],
      [900, 'paused_user'],
    ] as const) {
      const { id: levelId } = await world.make.level({ nicheId: (await world.make.niche()).id, priceCents });
      ids.push((await world.make.subscription({ providerId: provider.id, levelId, status })).id);
    }
    const statuses = async () => {
      const { rows } = await db.query<{ status: string }>(
        sql`select status from subscription where id = any(${ids}::uuid[]) order by array_position(${ids}::uuid[], id)`,
      );
      return rows.map((row) => row.status);
    };
    const taken = await adjustment(provider.id, { amount_cents: -3_000, memo: 'a cheque that bounced' });
    expect(taken.json()).toMatchObject({ balance_cents: 2_000, paused: 1, resumed: 0 });
    expect(await statuses()).toEqual(['paused_funds', 'active', 'paused_user']);
    const given = await adjustment(provider.id, { amount_cents: 2_000, memo: 'the cheque has come' });
    expect(given.json()).toMatchObject({ balance_cents: 4_000, paused: 0, resumed: 1 });
    expect(await statuses()).toEqual(['active', 'active', 'paused_user']);
    const { rows } = await db.query(
      sql`select template from email where related_id = ${provider.id} order by created_at`,
    );
    expect(rows.map((row) => row.template)).toEqual(['subscriptions_paused', 'subscriptions_resumed']);
  });

  it('never takes more than there is', async () => {
    const provider = await makeProvider(db);
    await makeCredit(db, { providerId: provider.id, amountCents: 100 }, world);
    const answer = await adjustment(provider.id, { amount_cents: -101, memo: 'more than there is' });
    expect([answer.statusCode, answer.json().code]).toEqual([409, 'insufficient_balance']);
    expect(await balance(provider)).toBe(100);
  });

  it.each([
    [404, randomUUID(), { amount_cents: 100, memo: 'for nobody at all' }],
    [400, randomUUID(), { amount_cents: 0, memo: 'nothing at all' }],
    [400, randomUUID(), { amount_cents: 100, memo: 'short' }],
    [400, 'not-an-id', { amount_cents: 100, memo: 'for nobody at all' }],
  ])('answers %i to what it cannot do', async (status, providerId, payload) => {
    expect((await adjustment(providerId, payload)).statusCode).toBe(status);
  });

  it('is not for providers', async () => {
    const provider = await makeProvider(db);
    expect(
      (await adjustment(provider.id, { amount_cents: 100, memo: 'for myself, please' }, 'provider')).statusCode,
    ).toBe(403);
  });
});

describe('the balance ledger', () => {
  it('shows a provider their own entries, newest first, page by page', async () => {
    const provider = await makeProvider(db);
    const other = await makeProvider(db);
    await makeCredit(db, { providerId: other.id, amountCents: 1 }, world);
    for (const amountCents of [100, 200, 300]) await makeCredit(db, { providerId: provider.id, amountCents }, world);
    const headers = signedInAs(provider.userId, 'provider');
    const first = (await app.inject({ url: '/provider/balance/entries?limit=2', headers })).json();
    const second = (
      await app.inject({ url: `/provider/balance/entries?limit=2&cursor=${first.pagination.next_cursor}`, headers })
    ).json();
    expect([...first.items, ...second.items].map((entry) => [entry.amount_cents, entry.balance_after_cents])).toEqual([
      [300, 600],
      [200, 300],
      [100, 100],
    ]);
    expect(second.pagination.next_cursor).toBeNull();
  });

  it('keeps every invariant', async () => {
    expect(await brokenInvariants(db)).toEqual({});
  });
});
