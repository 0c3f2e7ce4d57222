import { randomBytes } from 'node:crypto';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestSignIn } from './testing/auth.ts';
import { signInCaller } from './testing/callers.ts';
import { makeAssignments } from './testing/inbox.ts';
import { present } from './testing/nth.ts';
import { openTestProduct, type Operation, type TestProduct } from './testing/product.ts';

/** A provider who has one of everything that a route can name by id. */
interface Owner extends TestSignIn {
  readonly providerId: string;
  /** By the part of the path that names it. */
  readonly ids: Readonly<Record<string, string>>;
}

let product: TestProduct;
let market: { levelId: string; nicheId: string };
let owner: Owner;
let other: Owner;

beforeAll(async () => {
  product = await openTestProduct({ redisDatabase: 6 });
  const { make } = product.world;
  const niche = await make.niche();
  const level = await make.level({ nicheId: niche.id, priceCents: 100, maxRecipients: 20 });
  market = { nicheId: niche.id, levelId: level.id };
  [owner, other] = [await makeOwner(), await makeOwner()];
});
afterAll(() => product?.close());

async function makeOwner(): Promise<Owner> {
  const { db, make } = product.world;
  const signedIn = await signInCaller(db, { role: 'provider', factor: 'fresh' });
  const { rows } = await db.query<{ id: string }>(sql`select id from provider where user_id = ${signedIn.userId}`);
  const { id: providerId } = present(rows[0]);
  await make.credit({ providerId });
  const subscription = await make.subscription({ providerId, levelId: market.levelId });
  const lead = await make.lead({ nicheId: market.nicheId });
  const assignments = await makeAssignments(db, lead.id, product.world);
  const ids = {
    ...(await accountThings(signedIn)),
    'provider/subscriptions': subscription.id,
    'provider/inbox': present(assignments.get(providerId)),
    'provider/reports/exports': await makeExport(signedIn.userId, providerId),
  };
  return { ...signedIn, providerId, ids };
}

async function makeExport(userId: string, providerId: string): Promise<string> {
  const { rows } = await product.world.db.query<{ id: string }>(sql`
    insert into export_job (id, requested_by, provider_id, type, filters, correlation_id)
    values (gen_random_uuid(), ${userId}, ${providerId}, 'inbox', '{"from": "2026-01-01T00:00:00.000Z", "to": "2026-02-01T00:00:00.000Z"}', 'test')
    returning id`);
  return present(rows[0]).id;
}

/** What belongs to a user rather than to a provider. The session is another than that of the calls, which would end them. */
async function accountThings({ userId }: TestSignIn): Promise<Record<string, string>> {
  const secret = randomBytes(32);
  const { rows } = await product.world.db.query<{ session: string; token: string; passkey: string }>(sql`
    with session as (
      insert into identity.session (user_id, token_sha256, idle_expires_at, expires_at)
      values (${userId}, ${secret}, now() + interval '1 hour', now() + interval '1 hour') returning id),
    token as (
      insert into identity.api_token (user_id, name, token_sha256, scopes, expires_at)
      values (${userId}, 'of the till', ${secret}, '{portal.use}', now() + interval '1 hour') returning id),
    passkey as (
      insert into identity.passkey (user_id, credential_id, public_key, sign_count, name)
      values (${userId}, ${secret.toString('hex')}, ${secret}, 0, 'phone') returning id)
    select session.id as session, token.id as token, passkey.id as passkey from session, token, passkey`);
  const { session, token, passkey } = present(rows[0]);
  return { 'auth/sessions': session, 'auth/tokens': token, 'auth/passkeys': passkey };
}

/** What has to be said besides the id, so that the route gets as far as looking for it. */
const bodies: Readonly<Record<string, object>> = {
  'PATCH /api/v1/provider/subscriptions/:id': { status: 'paused_user' },
  'POST /api/v1/provider/inbox/:id/report': { reason: 'spam' },
};

/** Operations on a thing of the caller's own. Those of the staff see everybody's; what is public belongs to nobody. */
const isOwn = ({ access }: Operation) =>
  access === 'signed_in' || (typeof access === 'object' && access.permission === 'portal.use');
const named = () => product.operations.filter((operation) => isOwn(operation) && operation.path.includes(':'));

/** The id that belongs into a path; fails where this test does not know what to put there. */
function idFor({ path }: Operation, { ids }: Owner): string {
  const [, thing = ''] = /^\/api\/v1\/((?:[\w-]+\/){1,2}[\w-]+)\/:\w+(\/[\w-]+)?$/.exec(path) ?? [];
  const id = ids[thing];
  if (id === undefined) throw new Error(`${path} names a thing by id of which no owner in this test has one`);
  return id;
}

async function ask(operation: Operation, id: string, { headers }: TestSignIn) {
  const body = bodies[`${operation.method} ${operation.path}`];
  const answer = await product.call({
    method: operation.method,
    url: operation.path.replace(/:\w+/, id),
    headers,
    ...(body && { payload: body }),
  });
  const { correlation_id: _, ...told } = JSON.parse(answer.body || '{}') as Record<string, unknown>;
  return { status: answer.statusCode, told };
}

/** Rows of a provider, as far as others could have changed them. */
async function belongings({ providerId, userId }: Owner) {
  const { rows } = await product.world.db.query(sql`
    select (select json_agg(s order by s.id) from subscription s where provider_id = ${providerId}) as subscriptions,
           (select json_agg(m order by m.assignment_id) from inbox_mark m join assignment a on a.id = m.assignment_id
            where a.provider_id = ${providerId}) as marks,
           (select json_agg(r order by r.assignment_id) from bad_lead_report r where provider_id = ${providerId}) as reports,
           (select json_agg(e order by e.id) from export_job e where provider_id = ${providerId}) as exports,
           (select row_to_json(p) from provider p where id = ${providerId}) as provider,
           (select json_agg(s.revoked_at order by s.id) from identity.session s where user_id = ${userId}) as sessions,
           (select json_agg(t.revoked_at order by t.id) from identity.api_token t where user_id = ${userId}) as tokens,
           (select count(*) from identity.passkey where user_id = ${userId}) as passkeys`);
  return rows[0];
}

describe('a provider', () => {
  it('gets for the id of another what an id of nobody gets: 404, and nothing of theirs changes', async () => {
    const before = await belongings(owner);
    const nobodys = '00000000-0000-4000-8000-000000000000';
    for (const operation of named()) {
      const name = `${operation.method} ${operation.path}`;
      const theirs = await ask(operation, idFor(operation, owner), other);
      expect({ name, ...theirs }).toEqual({ name, ...(await ask(operation, nobodys, other)) });
      expect({ name, status: theirs.status, code: theirs.told.code }).toEqual({ name, status: 404, code: 'not_found' });
    }
    expect(await belongings(owner)).toEqual(before);
  });

  it('reads nothing of another in any list', async () => {
    const lists = product.operations.filter(
      (operation) => isOwn(operation) && operation.method === 'GET' && !operation.path.includes(':'),
    );
    expect(lists.length).toBeGreaterThan(4);
    for (const { path } of lists) {
      const { body } = await product.call({ url: path, headers: other.headers });
      const seen = [owner.providerId, owner.userId, owner.email, ...Object.values(owner.ids)].filter((mine) =>
        body.includes(mine),
      );
      expect({ path, seen }).toEqual({ path, seen: [] });
    }
  });

  it('cannot go on reading with the cursor of another', async () => {
    const { userId } = owner;
    const first = await product.call({ url: '/api/v1/provider/inbox?limit=1', headers: owner.headers });
    const cursor = first.json().pagination.next_cursor ?? 'bm9uZQ';
    const { body } = await product.call({
      url: `/api/v1/provider/inbox?limit=50&cursor=${cursor}`,
      headers: other.headers,
    });
    expect(body).not.toContain(userId);
    expect(body).not.toContain(present(owner.ids['provider/inbox']));
  });

  it('reaches each of these things as their owner', async () => {
    for (const operation of named().toSorted(lastToGo)) {
      const name = `${operation.method} ${operation.path}`;
      const { status } = await ask(operation, idFor(operation, owner), owner);
      // 409: an earlier one of these requests decided the opposite.
      expect({ name, isFound: [200, 201, 204, 409].includes(status), status }).toEqual({ name, isFound: true, status });
    }
  });
});

const lastToGo = (one: Operation, two: Operation) => Number(one.method === 'DELETE') - Number(two.method === 'DELETE');
