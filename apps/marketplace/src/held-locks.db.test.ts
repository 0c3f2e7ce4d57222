import { type Sql, sql } from '@fmhl/ops';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { TestSignIn } from './testing/auth.ts';
import { signInCaller } from './testing/callers.ts';
import { makeAssignments } from './testing/inbox.ts';
import { present } from './testing/nth.ts';
import { openTestProduct, type TestProduct } from './testing/product.ts';

let product: TestProduct;
let admin: TestSignIn;
let owner: TestSignIn;
let providerId: string;
const memo = 'agreed by telephone';

beforeAll(async () => {
  product = await openTestProduct({ redisDatabase: 12 });
});
afterAll(() => product?.close());
beforeEach(async () => {
  const { db, make } = product.world;
  admin = await signInCaller(db, { role: 'admin', factor: 'fresh' });
  owner = await signInCaller(db, { role: 'provider', factor: 'fresh' });
  const { rows } = await db.query<{ id: string }>(sql`select id from provider where user_id = ${owner.userId}`);
  providerId = present(rows[0]).id;
  await make.credit({ providerId });
});

async function ask(url: string, payload: object, { headers } = admin) {
  const answer = await product.call({ method: 'POST', url: `/api/v1${url}`, headers, payload });
  return { status: answer.statusCode, body: answer.json() };
}

/** Holds a row, lets requests queue up behind it in the given order, and lets them go. */
async function behind(lock: Sql, requests: readonly (() => ReturnType<typeof ask>)[]) {
  const { db } = product.world;
  const asked: ReturnType<typeof ask>[] = [];
  await db.transaction(async (tx) => {
    await tx.query(lock);
    for (const request of requests) {
      asked.push(request());
      await vi.waitFor(async () => expect(await waiting()).toBe(asked.length), 5_000);
    }
  });
  return Promise.all(asked);
}

async function waiting(): Promise<number> {
  const { rows } = await product.world.db.query<{ count: number }>(sql`
    select count(*)::int as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);
  return present(rows[0]).count;
}

async function standing() {
  const { rows } = await product.world.db.query(sql`
    select p.status as provider, u.status as user from provider p join identity.users u on u.id = p.user_id
    where p.id = ${providerId}`);
  return rows[0];
}

const accountLock = () => sql`select from account where provider_id = ${providerId} for no key update`;
const disable = () => ask(`/admin/users/${owner.userId}/disable`, { memo });

it('a provider does not come back while its user is being disabled', async () => {
  expect((await ask(`/admin/providers/${providerId}/suspend`, { memo })).status).toBe(200);
  const reinstate = () => ask(`/admin/providers/${providerId}/reinstate`, { memo });
  const [disabled, reinstated] = await behind(accountLock(), [disable, reinstate]);
  expect(disabled?.status).toBe(200);
  expect(reinstated).toMatchObject({ status: 409, body: { details: { user: 'disabled' } } });
  expect(await standing()).toEqual({ provider: 'suspended', user: 'disabled' });
});

it('a provider that is suspended while its user is disabled ends both, without a deadlock', async () => {
  const suspend = () => ask(`/admin/providers/${providerId}/suspend`, { memo });
  const ends = await behind(accountLock(), [suspend, disable]);
  expect(ends.map(({ status }) => status)).toEqual([200, 200]);
  expect(await standing()).toEqual({ provider: 'suspended', user: 'disabled' });
});

it('what a buyer writes while the lead is erased is not kept, nor what they write later', async () => {
  const { db, make } = product.world;
  const niche = await make.niche();
  const level = await make.level({ nicheId: niche.id });
  await make.subscription({ providerId, levelId: level.id });
  const lead = await make.lead({ nicheId: niche.id });
  const assignment = present((await makeAssignments(db, lead.id, product.world)).get(providerId));
  const inbox = `/provider/inbox/${assignment}`;
  const report = () => ask(`${inbox}/report`, { reason: 'other', notes: 'Zoe never asked' }, owner);
  const erasing = sql`update lead set erased_at = clock_timestamp() where id = ${lead.id}`;
  const decline = () => ask(`${inbox}/decline`, { reason: 'Zoe does not answer' }, owner);
  const ends = await behind(erasing, [report, decline]);
  expect(ends.map(({ status }) => status)).toEqual([201, 200]);
  expect(await report()).toMatchObject({ status: 200, body: { changed: false } });
  const { rows } = await db.query(sql`
    select r.reason, r.notes, m.decision, m.decline_reason
    from bad_lead_report r join inbox_mark m using (assignment_id) where assignment_id = ${assignment}`);
  expect(rows).toEqual([{ reason: 'other', notes: null, decision: 'declined', decline_reason: null }]);
});
