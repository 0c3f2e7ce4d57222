import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mayCall } from './operation-table.ts';
import { type Caller, signInCaller } from './testing/callers.ts';
import { openTestProduct, type Operation, type TestProduct } from './testing/product.ts';

const callers: Caller[] = [
  { name: 'a viewer', role: 'viewer', factor: 'fresh' },
  { name: 'a responder', role: 'responder', factor: 'fresh' },
  { name: 'finance', role: 'finance', factor: 'fresh' },
  { name: 'an admin', role: 'admin', factor: 'fresh' },
  { name: 'a provider', role: 'provider', factor: 'missing' },
  { name: 'a provider with a second factor', role: 'provider', factor: 'fresh' },
  { name: 'a viewer without a second factor', role: 'viewer', factor: 'missing' },
  { name: 'finance without a second factor', role: 'finance', factor: 'missing' },
  { name: 'an admin without a second factor', role: 'admin', factor: 'missing' },
  { name: 'a responder with a stale second factor', role: 'responder', factor: 'stale' },
  { name: 'finance with a stale second factor', role: 'finance', factor: 'stale' },
  { name: 'an admin with a stale second factor', role: 'admin', factor: 'stale' },
  { name: 'an admin in the middle of signing in', role: 'admin', factor: 'missing', kind: 'mfa_pending' },
  { name: 'an admin who was disabled', role: 'admin', factor: 'fresh', status: 'disabled' },
];

let product: TestProduct;
beforeAll(async () => {
  product = await openTestProduct({ redisDatabase: 5 });
});
afterAll(() => product?.close());

/** What the access checks have to say: a status and a code, or that they let the caller in. */
function verdict({ access, acceptsPending, secondFactor }: Operation, { role, factor, kind, status }: Caller): string {
  if (access === 'public') return 'let in';
  if (status === 'disabled') return '401 token_invalid';
  if (kind === 'mfa_pending') return acceptsPending ? 'let in' : '401 mfa_challenge_required';
  if (!mayCall(access, role)) return '403 missing_permission';
  if (secondFactor === 'none') return 'let in';
  if (factor === 'missing') return '403 mfa_required';
  return secondFactor === 'fresh' && factor === 'stale' ? '403 mfa_stale' : 'let in';
}

const checks = new Set([
  'no_session',
  'session_expired',
  'token_invalid',
  'mfa_challenge_required',
  'missing_permission',
  'mfa_required',
  'mfa_stale',
  'origin_refused',
]);

/** Asks in a way that nobody can grant: whoever is let in hears of the id or the body, and changes nothing. */
async function ask(operation: Operation, headers: Record<string, string>): Promise<string> {
  const { method, path } = operation;
  const hasBody = method !== 'GET' && method !== 'DELETE';
  const answer = await product.call({
    method,
    url: path.replaceAll(/:\w+/g, 'nothing-of-this-id'),
    headers,
    ...(hasBody && { payload: { none: 'of this' } }),
  });
  if (answer.statusCode >= 500) return `${answer.statusCode}: ${answer.body}`;
  const { code } = answer.headers['content-type']?.includes('json') ? answer.json<{ code?: string }>() : {};
  return code !== undefined && checks.has(code) ? `${answer.statusCode} ${code}` : 'let in';
}

async function matrix(caller: Caller | undefined): Promise<{ asked: string[]; expected: string[] }> {
  const asked: string[] = [];
  const expected: string[] = [];
  for (const operation of product.operations) {
    // Each call has a session of its own, as some of them end it.
    const headers = caller ? (await signInCaller(product.world.db, caller)).headers : {};
    const name = `${operation.method} ${operation.path}`;
    asked.push(`${name}: ${await ask(operation, headers)}`);
    const anonymous = operation.access === 'public' ? 'let in' : '401 no_session';
    expected.push(`${name}: ${caller ? verdict(operation, caller) : anonymous}`);
  }
  return { asked, expected };
}

describe('every operation', () => {
  it('answers 401 to nobody, unless it is for everybody', async () => {
    const { asked, expected } = await matrix(undefined);
    expect(asked).toEqual(expected);
  });

  it.each(callers)(
    'answers $name by permission and second factor alone, before it looks at ids and bodies',
    async (caller) => {
      const { asked, expected } = await matrix(caller);
      expect(asked).toEqual(expected);
    },
  );

  it('refuses tokens that are truncated, foreign, or no tokens at all', async () => {
    const { token } = await signInCaller(product.world.db, { role: 'admin', factor: 'fresh' });
    const foreign = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
    const wrong = [token.slice(0, -1), foreign, `${token}x`, '', 'null', `${token} ${token}`];
    const asked = await Promise.all(
      wrong.map((one) => product.call({ url: '/api/v1/admin/me', headers: { authorization: `Bearer ${one}` } })),
    );
    expect(asked.map((answer) => `${answer.statusCode} ${answer.json().code}`)).toEqual(
      wrong.map(() => '401 token_invalid'),
    );
  });

  it('is checked for HEAD as for GET', async () => {
    const gets = product.operations.filter(({ method, access }) => method === 'GET' && access !== 'public');
    const asked = await Promise.all(
      gets.map(({ path }) => product.call({ method: 'HEAD', url: path.replaceAll(/:\w+/g, 'nothing') })),
    );
    expect(asked.map(({ statusCode }) => statusCode)).toEqual(gets.map(() => 401));
  });

  it('cannot be reached by another method than its own, whatever a header or a parameter says', async () => {
    const { headers } = await signInCaller(product.world.db, { role: 'admin', factor: 'fresh' });
    const override = { 'x-http-method-override': 'DELETE', 'x-http-method': 'DELETE', 'x-method-override': 'DELETE' };
    const letter = '/api/v1/admin/queues/dlq/00000000-0000-4000-8000-000000000000';
    const answers = await Promise.all([
      product.call({
        method: 'POST',
        url: `${letter}?_method=DELETE`,
        headers: { ...headers, ...override },
        payload: {},
      }),
      product.call({ method: 'PATCH', url: letter, headers, payload: {} }),
      product.call({ method: 'GET', url: `${letter}/retry`, headers: { ...headers, ...override } }),
    ]);
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([404, 404, 404]);
  });
});
