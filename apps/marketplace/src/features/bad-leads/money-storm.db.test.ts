import { randomUUID } from 'node:crypto';
import { databaseFailure, sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signInAs } from '../../testing/auth.ts';
import { brokenInvariants, sellLead } from '../../testing/distribution.ts';
import { present } from '../../testing/nth.ts';
import { openTestProduct, type TestProduct } from '../../testing/product.ts';
import { seededRandom } from '../../testing/random.ts';
import { reconcileBalances } from '../billing/index.ts';
import { reactivateSubscriptions } from '../subscriptions/index.ts';

const memo = 'done by a test of money';
const random = seededRandom(5);
let product: TestProduct;
let admin: Record<string, string>;
let providers: { id: string; headers: Record<string, string> }[];
let levels: { id: string; name: string }[];
let nicheId: string;

beforeAll(async () => {
  product = await openTestProduct({ redisDatabase: 14 });
  const { db, make } = product.world;
  ({ headers: admin } = await signInAs(db));
  nicheId = (await make.niche()).id;
  levels = [];
  for (const priceCents of [1_000, 2_500]) {
    const { id } = await make.level({ nicheId, priceCents, maxRecipients: 4 });
    levels.push({ id, name: String((await db.query(sql`select name from v_level where id = ${id}`)).rows[0]?.name) });
  }
  providers = [];
  for (let at = 0; at < 8; at += 1) {
    const { headers, userId } = await signInAs(db, { role: 'provider' });
    const { rows } = await db.query<{ id: string }>(sql`
      insert into provider (user_id, company, tz, status) values (${userId}, 'Test', 'UTC', 'active') returning id`);
    const { id } = present(rows[0]);
    for (const level of levels) await make.subscription({ providerId: id, levelId: level.id, status: 'paused_funds' });
    await make.credit({ providerId: id, amountCents: 9_000 });
    providers.push({ id, headers });
  }
});
afterAll(() => product.close());

async function send(method: 'POST' | 'PUT', url: string, payload: object, headers = admin) {
  const answer = await product.call({
    method,
    url: `/api/v1${url}`,
    headers: { 'idempotency-key': randomUUID(), ...headers },
    payload,
  });
  return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() };
}

/** As its job does, with what conflicts in place. */
async function sell(leadId: string): Promise<void> {
  for (;;) {
    try {
      return void (await sellLead(product.app.db, leadId, product.world));
    } catch (error) {
      if (databaseFailure(error) !== 'conflict') throw error;
    }
  }
}

async function bought() {
  const { rows } = await product.world.db.query<{ id: string; lead_id: string; provider_id: string }>(
    sql`select id, lead_id, provider_id from v_assignment order by id`,
  );
  return rows;
}

/** Acts of every kind, in an order that follows from the seed. Each answers its status. */
function acts(assignments: Awaited<ReturnType<typeof bought>>): (() => Promise<number>)[] {
  const any = () => random.pick(assignments);
  const status = async (asked: Promise<{ status: number }>) => (await asked).status;
  return [
    () => status(send('POST', `/admin/bad-leads/${any().id}/approve`, { memo })),
    () => status(send('POST', `/admin/bad-leads/${any().id}/reject`, { memo })),
    () => status(send('POST', `/admin/assignments/${any().id}/refund`, { memo })),
    async () => {
      const one = any();
      const { headers } = present(providers.find(({ id }) => id === one.provider_id));
      return status(send('POST', `/provider/inbox/${one.id}/report`, { reason: 'spam' }, headers));
    },
    async () => {
      const ids = [any().lead_id, any().lead_id];
      const { body } = await send('POST', '/admin/leads/mark-bad', { ids, memo, dry_run: true });
      const { leads, assignments: count, providers: of, refund_cents } = body;
      const expected = { leads, assignments: count, providers: of, refund_cents };
      return status(send('POST', '/admin/leads/mark-bad', { ids, memo, expected }));
    },
    () => {
      const amount_cents = random.pick([-2_000, -500, 700, 3_000]);
      return status(send('POST', `/admin/providers/${random.pick(providers).id}/adjustments`, { amount_cents, memo }));
    },
    async () => {
      const level = random.pick(levels);
      const price_cents = random.pick([800, 1_200, 2_000, 3_000]);
      const { body } = await send('POST', `/admin/levels/${level.id}/price-preview`, { price_cents });
      const edit = { price_cents, plan_hash: body.plan_hash, memo, confirm: level.name };
      return status(send('PUT', `/admin/levels/${level.id}/price`, edit));
    },
    async () => {
      const { id } = await product.world.make.lead({ nicheId });
      await sell(id);
      return 200;
    },
  ];
}

describe('everything that moves money, at once', () => {
  it('leaves every cent explained, and no one in the way of another', async () => {
    const { db, make } = product.world;
    for (let at = 0; at < 10; at += 1) await sell((await make.lead({ nicheId })).id);
    const kinds = acts(await bought());
    const statuses: number[] = [];
    for (let wave = 0; wave < 4; wave += 1) {
      const storm = Array.from({ length: 40 }, (_one, at) => present(kinds[(at + wave) % kinds.length]));
      statuses.push(...(await Promise.all(storm.map((act) => act()))));
    }
    expect(statuses.filter((status) => status >= 500)).toEqual([]);
    expect(statuses.filter((status) => status < 300).length).toBeGreaterThan(60);
    expect(await brokenInvariants(db)).toEqual({});
    const run = {
      db,
      log: product.world.log,
      metrics: product.world.metrics,
      runId: randomUUID(),
      correlationId: 'storm-of-money',
    };
    expect(await reconcileBalances(run)).toMatchObject({ within_tolerance: 0, corrected: 0, alerted: 0 });
    await reactivateSubscriptions(run);
    const { rows } = await db.query(sql`
      select s.id, s.status from v_subscription s join v_level l on l.id = s.level_id join v_account a using (provider_id)
      where (s.status = 'active') <> (a.balance_cents >= l.price_cents)`);
    expect(rows).toEqual([]);
  });
});
