import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signInCaller } from './testing/callers.ts';
import { openTestProduct, type TestProduct } from './testing/product.ts';

interface JsonSchema {
  type?: string | string[];
  properties?: Record<string, JsonSchema>;
  additionalProperties?: unknown;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
}

interface Described {
  requestBody?: { content: Record<string, { schema: JsonSchema }> };
}

let product: TestProduct;
beforeAll(async () => {
  product = await openTestProduct({ redisDatabase: 7 });
});
afterAll(() => product?.close());

/** Every request body of the API document, by method and path. */
function bodies(): { name: string; method: string; path: string; schema: JsonSchema }[] {
  const { paths } = product.server.swagger() as unknown as { paths: Record<string, Record<string, Described>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { requestBody }]) => {
      const schema = requestBody?.content['application/json']?.schema;
      return schema ? [{ name: `${method.toUpperCase()} ${path}`, method: method.toUpperCase(), path, schema }] : [];
    }),
  );
}

/** The places of a schema at which an object may have fields that nobody described. */
function openPlaces(schema: JsonSchema, at = ''): string[] {
  const { properties = {}, items, anyOf = [], oneOf = [], allOf = [] } = schema;
  const isOpen = [schema.type].flat().includes('object') && schema.additionalProperties !== false;
  return [
    ...(isOpen ? [at || 'body'] : []),
    ...Object.entries(properties).flatMap(([name, member]) => openPlaces(member, `${at}.${name}`)),
    ...(items ? openPlaces(items, `${at}[]`) : []),
    ...[...anyOf, ...oneOf, ...allOf].flatMap((one) => openPlaces(one, at)),
  ];
}

describe('a field that nobody described', () => {
  it('has no place in any request body, but in answers to a form and in what a browser says of a passkey, which are judged elsewhere', () => {
    const open = bodies().flatMap(({ name, schema }) => openPlaces(schema).map((at) => `${name} ${at}`));
    expect(open.filter((place) => !/ \.(passkey|credential)(\.response)?$/.test(place))).toEqual([
      'POST /api/v1/leads .form',
    ]);
  });

  it('is refused wherever it is sent', async () => {
    const refused: string[] = [];
    for (const { name, method, path } of bodies()) {
      const role = path.includes('/provider') && !path.includes('/admin') ? 'provider' : 'admin';
      const { headers } = await signInCaller(product.world.db, { role, factor: 'fresh' });
      const answer = await product.call({
        method,
        url: path.replaceAll(/\{\w+\}/g, '00000000-0000-4000-8000-000000000000').replace('{fp}', 'v1_0000000000000000'),
        headers: { ...headers, 'idempotency-key': 'unknown-fields-1' },
        payload: { role: 'admin', is_admin: true, permissions: ['dlq.reveal'], mfa: true },
      });
      refused.push(`${name}: ${answer.statusCode}`);
    }
    // A webhook is judged by its signature before anybody looks at what it says.
    const expected = bodies().map(({ name }) => `${name}: ${name.includes('/webhooks/') ? 401 : 400}`);
    expect(refused).toEqual(expected);
  });

  it('changes neither role nor balance nor status beside fields that are known', async () => {
    const { db } = product.world;
    const { headers, userId } = await signInCaller(db, { role: 'provider', factor: 'fresh' });
    const state = async () =>
      (
        await db.query(sql`
      select u.role, u.email_verified_at, u.status, p.status as provider_status, p.company, p.version,
             (select balance_cents from account a where a.provider_id = p.id) as balance
      from identity.users u join provider p on p.user_id = u.id where u.id = ${userId}`)
      ).rows;
    const before = await state();
    const intruders = [
      { status: 'active' },
      { balance_cents: 1_000_000 },
      { user_id: userId },
      { id: userId },
      { role: 'admin' },
    ];
    for (const intruder of intruders) {
      const payload = { company: 'Taken Over', ...intruder };
      const answer = await product.call({ method: 'PATCH', url: '/api/v1/provider/me', headers, payload });
      expect([answer.statusCode, answer.json().code]).toEqual([400, 'validation_failed']);
    }
    expect(await state()).toEqual(before);
    const register = await product.call({
      method: 'POST',
      url: '/api/v1/auth/register',
      payload: { email: 'mass@example.com', password: 'tangerine-lamp-42', company: 'Mass', role: 'admin' },
    });
    expect(register.statusCode).toBe(400);
    expect((await db.query(sql`select 1 from identity.users where email_norm = 'mass@example.com'`)).rows).toEqual([]);
  });

  it('reaches no prototype', async () => {
    const { headers } = await signInCaller(product.world.db, { role: 'provider', factor: 'fresh' });
    const payloads = ['{"__proto__":{"role":"admin"}}', '{"constructor":{"prototype":{"role":"admin"}}}'];
    for (const payload of payloads) {
      const answer = await product.call({
        method: 'PATCH',
        url: '/api/v1/provider/me',
        headers: { ...headers, 'content-type': 'application/json' },
        payload,
      });
      expect(answer.statusCode).toBe(400);
    }
    expect(({} as { role?: string }).role).toBeUndefined();
  });
});
