import { randomUUID } from 'node:crypto';
import { connect, type AddressInfo } from 'node:net';
import { sql } from '@fmhl/ops';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type App, openApp } from './app.ts';
import { type Environment, readConfig } from './config.ts';
import { buildHttp } from './http.ts';
import { signInAs, type TestSignIn } from './testing/auth.ts';
import { openTestWorld, type TestWorld } from './testing/world.ts';

const publicUrl = 'https://leads.example.com';
let world: TestWorld;
let app: App;
let server: FastifyInstance;
let admin: TestSignIn;
let provider: TestSignIn;
const routes: { method: string; url: string }[] = [];

function openTestApp(env: Environment = {}, databaseUrl = world.url): App {
  const config = readConfig({ TOKEN_KEY: '00'.repeat(32), PUBLIC_URL: publicUrl, ...env });
  const servers = { databaseUrl, redisUrl: inject('redisUrl'), smtpUrl: 'smtp://127.0.0.1:1' };
  return openApp({ ...config, ...servers, tokenKey: config.tokenKey ?? '' }, { role: 'api', logTo: { write() {} } });
}

beforeAll(async () => {
  world = await openTestWorld();
  app = openTestApp();
  server = await buildHttp(app, {
    onRoute: ({ method, url }) => routes.push(...[method].flat().map((one) => ({ method: one, url }))),
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  admin = await signInAs(world.db);
  provider = await signInAs(world.db, { role: 'provider' });
  await world.db.query(
    sql`insert into provider (user_id, company, tz, status) values (${provider.userId}, 'Roofs', 'UTC', 'active')`,
  );
});
afterAll(async () => {
  await server.close();
  await app.close();
  await world.close();
});

const niches = '/api/v1/admin/niches';
const answerOf = async (options: InjectOptions) => {
  const answer = await server.inject(options);
  return [answer.statusCode, answer.headers['content-type']?.includes('json') ? answer.json().code : undefined];
};
const asAdmin = (options: InjectOptions): InjectOptions => ({
  ...options,
  headers: { ...admin.headers, ...options.headers },
});
const json = (payload: string): InjectOptions =>
  asAdmin({ method: 'POST', url: niches, payload, headers: { 'content-type': 'application/json' } });

describe('a body', () => {
  const field = JSON.stringify('x'.repeat(40));
  it.each([
    ['a key twice', `{"name":${field},"name":"other"}`],
    ['a key twice, once escaped', `{"name":${field},"n\\u0061me":"other"}`],
    ['a key twice far inside', `{"name":"x","form_schema":[{"a":{"b":1,"b":2}}]}`],
    ['a prototype', '{"__proto__":{"role":"admin"}}'],
    ['a prototype of a constructor', '{"constructor":{"prototype":{"role":"admin"}}}'],
    ['a thousand levels', `${'['.repeat(1000)}${']'.repeat(1000)}`],
    ['two values', '{} {}'],
    ['a NUL', '{"name":\u0000}'],
    ['nothing but a comma', ','],
  ])('with %s is refused before anything looks at it', async (_what, payload) => {
    expect(await answerOf(json(payload))).toEqual([400, 'validation_failed']);
    expect((await world.db.query(sql`select 1 from niche`)).rows).toEqual([]);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml'])(
    'of type %s is 415, whatever is in it',
    async (type) => {
      const payload = '{"email":"a@example.com","password":"tangerine-lamp-42"}';
      const headers = { 'content-type': type };
      expect(await answerOf(asAdmin({ method: 'POST', url: niches, payload, headers }))).toEqual([415, 'media_type']);
      expect(await answerOf({ method: 'POST', url: '/api/v1/auth/login', payload, headers })).toEqual([
        415,
        'media_type',
      ]);
    },
  );

  it('of a megabyte is refused before a password is hashed', async () => {
    const password = 'p'.repeat(1024 * 1024);
    const began = performance.now();
    const payload = { email: 'a@example.com', password };
    expect(await answerOf({ method: 'POST', url: '/api/v1/auth/login', payload })).toEqual([413, 'too_large']);
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

describe('a request line', () => {
  it('with a URL beyond any that we have is refused', async () => {
    const url = `${niches}?cursor=${'x'.repeat(9_000)}`;
    expect(await answerOf(asAdmin({ method: 'GET', url }))).toEqual([400, 'validation_failed']);
  });

  it('with headers beyond 16 KiB is 431 on the wire', async () => {
    const { port } = server.server.address() as AddressInfo;
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(`GET / HTTP/1.1\r\nhost: x\r\nx-big: ${'x'.repeat(20_000)}\r\n\r\n`);
      });
      socket.once('data', (data) => resolve(String(data)));
      socket.once('error', reject);
    });
    expect(answer).toContain('431');
    expect(answer).toContain('headers_too_large');
  });

  it.each(['x-http-method-override', 'x-http-method', 'x-method-override'])(
    'keeps its method in spite of %s',
    async (name) => {
      const headers = { [name]: 'POST', 'content-type': 'application/json' };
      const answer = await server.inject(asAdmin({ method: 'GET', url: `${niches}?_method=POST`, headers }));
      expect(answer.statusCode).toBe(400);
      const plain = await server.inject(asAdmin({ method: 'GET', url: niches, headers }));
      expect([plain.statusCode, plain.json().items]).toEqual([200, []]);
    },
  );

  it.each(['__proto__=1', 'constructor=1', 'limit[__proto__]=1', 'limit=1&limit=2', 'limit=1%00'])(
    'with the query %s changes nothing and is refused',
    async (query) => {
      expect(await answerOf(asAdmin({ method: 'GET', url: `${niches}?${query}` }))).toEqual([400, 'validation_failed']);
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    },
  );

  it('with OPTIONS, TRACE or CONNECT finds nothing, and nobody else may read our answers', async () => {
    for (const method of ['OPTIONS', 'TRACE'] as const) {
      const answer = await server.inject({ method, url: niches, headers: { origin: 'https://evil.example.com' } });
      expect(answer.statusCode).toBe(404);
      expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    }
    const read = await server.inject(asAdmin({ url: niches, headers: { origin: 'https://evil.example.com' } }));
    expect(read.headers).not.toHaveProperty('access-control-allow-origin');
  });
});

describe('a read', () => {
  /**
   * Reads that are noted whatever they find: an export in the audit log, and the first look at a bought lead. So is the sight of personal
   * data, for things that exist. They change nothing else.
   */
  const recorded = ['/api/v1/admin/queues/dlq/export', '/api/v1/provider/inbox/:id'];

  it('of every route works on a database that nobody may write to', async () => {
    const url = new URL(world.url);
    url.searchParams.set('options', '-c default_transaction_read_only=on');
    const sealed = openTestApp({}, url.href);
    const reading = await buildHttp(sealed);
    const reads = routes.filter(
      (route) => route.method === 'GET' && route.url.startsWith('/api/') && !recorded.includes(route.url),
    );
    expect(reads.length).toBeGreaterThan(30);
    const failed: unknown[] = [];
    for (const route of reads) {
      const path = route.url.replace(/:(\w*id|lead|run)\b/gi, randomUUID()).replace(/:\w+|\*/g, 'email_send');
      for (const user of [admin, provider]) {
        const answer = await reading.inject({ url: path, headers: user.headers });
        if (answer.statusCode >= 500) failed.push([path, answer.statusCode, answer.body]);
      }
    }
    expect(failed).toEqual([]);
    const idempotency = { 'idempotency-key': 'a-write-fails-here' };
    const body = { slug: 'roofing', name: 'Roofing', form_schema: { fields: [] }, dedup_days: 30 };
    const write = await reading.inject(asAdmin({ method: 'POST', url: niches, payload: body, headers: idempotency }));
    expect(write.statusCode).toBeGreaterThanOrEqual(500);
    await reading.close();
    await sealed.close();
  });
});

describe('a write that another site makes a browser send', () => {
  const cookie = () => ({ cookie: `__Host-fmhl_session=${admin.token}` });
  const ours = { origin: publicUrl, 'x-fmhl-client': '1', host: 'leads.example.com' };
  const write = (headers: Record<string, string>, payload = '{"all":false}') =>
    answerOf({
      method: 'POST',
      url: '/api/v1/auth/logout',
      payload,
      headers: { 'content-type': 'application/json', host: 'leads.example.com', ...cookie(), ...headers },
    });

  it.each([
    ['another origin', { origin: 'https://evil.example.com', 'x-fmhl-client': '1' }],
    ['a sandbox', { origin: 'null', 'x-fmhl-client': '1' }],
    ['no origin', { 'x-fmhl-client': '1' }],
    ['our origin without our header', { origin: publicUrl }],
    ['our name over plain http', { origin: 'http://leads.example.com.evil.example', 'x-fmhl-client': '1' }],
    ['a name that begins like ours', { origin: `${publicUrl}.evil.example`, 'x-fmhl-client': '1' }],
    ['another port', { origin: `${publicUrl}:8443`, 'x-fmhl-client': '1' }],
  ])('from %s is refused', async (_where, headers) => {
    expect(await write(headers)).toEqual([403, 'origin_refused']);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'as %s, which needs no question first, is refused',
    async (type) => {
      const form = { 'content-type': type, origin: 'https://evil.example.com' };
      expect((await write(form, 'all=false'))[0]).toBe(403);
      expect((await write({ ...form, ...ours }, 'all=false'))[0]).toBe(415);
    },
  );

  it('leaves the session as it was; from our own page it counts', async () => {
    const reads = (headers: object) =>
      server.inject({ url: '/api/v1/auth/me', headers: { host: 'leads.example.com', ...headers } });
    expect((await reads(cookie())).statusCode).toBe(200);
    const other = await signInAs(world.db);
    const answer = await write({ ...ours, cookie: `__Host-fmhl_session=${other.token}` });
    expect(answer[0]).toBe(204);
    expect((await reads({ cookie: `__Host-fmhl_session=${other.token}` })).statusCode).toBe(401);
  });
});

describe('what an answer tells a browser', () => {
  it.each(['/', '/confirm', '/erase', '/docs/', '/api/v1/auth/me', '/api/v1/nothing', '/nothing'])(
    '%s may be framed by nobody, and runs nothing of others',
    async (url) => {
      const { headers } = await server.inject(url);
      const policy = String(headers['content-security-policy']);
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).toMatch(/default-src '(none|self)'/);
      expect(policy).not.toMatch(/unsafe-eval|https?:\/\//);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'x-frame-options': 'DENY',
        'strict-transport-security': 'max-age=31536000',
      });
      expect(headers).not.toHaveProperty('x-powered-by');
      expect(headers).not.toHaveProperty('server');
    },
  );

  it('keeps no answer of the API', async () => {
    for (const url of ['/api/v1/auth/me', niches, '/api/v1/nothing', '/api/v1/openapi.json']) {
      expect((await server.inject(url)).headers['cache-control']).toBe('no-store');
    }
  });

  it('says nothing of TLS where there is none', async () => {
    const plain = openTestApp({ PUBLIC_URL: 'http://127.0.0.1:3000' });
    const local = await buildHttp(plain);
    const { headers } = await local.inject('/');
    expect(headers).not.toHaveProperty('strict-transport-security');
    expect(headers['content-security-policy']).not.toContain('upgrade-insecure-requests');
    await local.close();
    await plain.close();
  });

  it('the documentation works under its own policy', async () => {
    const page = await server.inject('/docs/');
    expect(page.statusCode).toBe(200);
    for (const [, path = ''] of page.body.matchAll(/(?:src|href)="\.?\/?([^":]+)"/g)) {
      const url = path.startsWith('docs') ? `/${path}` : `/docs/${path.replace(/^\.?\//, '')}`;
      expect([url, (await server.inject(url)).statusCode]).toEqual([url, 200]);
    }
  });
});

describe('metrics and health on the public listener', () => {
  const paths = ['/metrics', '/health', '/health/live', '/health/ready', '/health/serving'];

  it('are not there for others, whatever address they say they have', async () => {
    const stranger = '198.51.100.7';
    const claims = [
      {},
      { 'x-forwarded-for': '127.0.0.1' },
      { forwarded: 'for=127.0.0.1' },
      { 'x-real-ip': '127.0.0.1' },
      { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': 'localhost' },
      { host: '127.0.0.1' },
    ];
    for (const url of paths)
      for (const headers of claims)
        expect((await server.inject({ url, remoteAddress: stranger, headers })).statusCode).toBe(404);
  });

  it('are not there through a proxy on this machine that tells nothing, unless they are asked for', async () => {
    const status = async (of: FastifyInstance, url: string) =>
      (await of.inject({ url, remoteAddress: '127.0.0.1', headers: { host: '127.0.0.1:3000' } })).statusCode;
    for (const url of paths) expect(await status(server, url)).toBe(404);
    const asked = openTestApp({ METRICS_ALLOWED_NETWORKS: '127.0.0.1' });
    const shown = await buildHttp(asked);
    expect(await status(shown, '/metrics')).toBe(200);
    await shown.close();
    await asked.close();
  });

  it('are not there through a trusted proxy either', async () => {
    const behind = openTestApp({ TRUSTED_PROXIES: '127.0.0.1', METRICS_ALLOWED_NETWORKS: '127.0.0.1' });
    const proxied = await buildHttp(behind);
    for (const url of paths) {
      const through = { url, remoteAddress: '127.0.0.1', headers: { 'x-forwarded-for': '127.0.0.1' } };
      expect((await proxied.inject(through)).statusCode).toBe(404);
    }
    await proxied.close();
    await behind.close();
  });
});
