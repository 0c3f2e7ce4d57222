import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type App, openApp } from './app.ts';
import { type Environment, readConfig } from './config.ts';
import { buildHttp, compileSerializer } from './http.ts';

type Server = Awaited<ReturnType<typeof buildHttp>>;

/** The whole server, over servers that are not there: what it answers without them. */
async function openServer(env: Environment = {}): Promise<{ app: App; server: Server }> {
  const config = readConfig({ TOKEN_KEY: '00'.repeat(32), ...env });
  const nowhere = {
    databaseUrl: 'postgres://127.0.0.1:1/none',
    redisUrl: 'redis://127.0.0.1:1',
    smtpUrl: 'smtp://127.0.0.1:1',
  };
  const app = openApp(
    { ...config, ...nowhere, tokenKey: config.tokenKey ?? '' },
    { role: 'api', logTo: { write() {} } },
  );
  const extend = async (server: Server) =>
    void server.get('/seen-as', async ({ ip, protocol, host }) => ({ ip, protocol, host }));
  return { app, server: await buildHttp(app, { extend }) };
}

describe('addresses behind a proxy', () => {
  const forwarded = {
    host: 'inner:3000',
    'x-forwarded-for': '203.0.113.9, 192.0.2.4',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'leads.example.com',
  };
  it.each([
    ['none', {}, '10.1.2.3', { ip: '10.1.2.3', protocol: 'http', host: 'inner:3000' }],
    [
      'a trusted one',
      { TRUSTED_PROXIES: '10.0.0.0/8,192.0.2.4' },
      '10.1.2.3',
      { ip: '203.0.113.9', protocol: 'https', host: 'leads.example.com' },
    ],
    [
      'one of two',
      { TRUSTED_PROXIES: '10.0.0.0/8' },
      '10.1.2.3',
      { ip: '192.0.2.4', protocol: 'https', host: 'leads.example.com' },
    ],
    [
      'a stranger',
      { TRUSTED_PROXIES: '10.0.0.0/8' },
      '198.51.100.1',
      { ip: '198.51.100.1', protocol: 'http', host: 'inner:3000' },
    ],
  ])('are believed of %s', async (_who, env, remoteAddress, seen) => {
    const { app, server } = await openServer(env);
    const answer = await server.inject({ url: '/seen-as', remoteAddress, headers: forwarded });
    expect(answer.json()).toEqual(seen);
    await server.close();
    await app.close();
  });
});

describe('a fault of the server itself', () => {
  let app: App;
  let server: Server;
  beforeAll(async () => {
    ({ app, server } = await openServer());
  });
  afterAll(async () => {
    await server.close();
    await app.close();
  });

  it.each([
    ['/api/v1/leads/%zz/resend', 400, 'validation_failed'],
    [`/api/v1/leads/${'x'.repeat(200)}/resend`, 400, 'validation_failed'],
    ['/api/v1/nothing', 404, 'not_found'],
    ['/nothing', 404, 'not_found'],
    ['/docs/static/%2e%2e/nothing', 404, 'not_found'],
  ])('of %.30s has the one shape', async (url, status, code) => {
    const answer = await server.inject({ method: 'POST', url });
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ code, correlation_id: answer.headers['x-correlation-id'] });
    expect(Object.keys(answer.json())).not.toContain('statusCode');
  });
});

interface Operation {
  parameters?: { in: string; name: string; required?: boolean }[];
  requestBody?: { content: Record<string, { schema: { properties?: object } }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: { properties?: object } }> }>;
  security: object[];
}

describe('the OpenAPI document', () => {
  let operations: Record<string, Operation>;
  beforeAll(async () => {
    const { app, server } = await openServer();
    const answer = await server.inject('/api/v1/openapi.json');
    const paths = answer.json().paths as Record<string, Record<string, Operation>>;
    const all = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => [`${method} ${path}`, operation] as const),
    );
    operations = Object.fromEntries(all);
    await server.close();
    await app.close();
  });
  const headerOf = (route: string, name: string) =>
    operations[route]?.parameters?.find((one) => one.in === 'header' && one.name === name);
  const fieldsOf = (content: Record<string, { schema: { properties?: object } }> | undefined) =>
    Object.keys(content?.['application/json']?.schema.properties ?? {});

  it('names every parameter of a path', () => {
    for (const [route, { parameters = [] }] of Object.entries(operations)) {
      const named = parameters.filter((one) => one.in === 'path').map(({ name }) => `{${name}}`);
      expect([route, named]).toEqual([route, route.match(/\{\w+\}/g) ?? []]);
    }
  });

  it('says which writes need an Idempotency-Key and which take one', () => {
    const needs = (isRequired: boolean) =>
      Object.keys(operations).filter((route) => {
        const header = headerOf(route, 'idempotency-key');
        return header !== undefined && (header.required ?? false) === isRequired;
      });
    expect(needs(true).toSorted()).toEqual([
      'post /api/v1/admin/assignments/{id}/refund',
      'post /api/v1/admin/bad-leads/bulk',
      'post /api/v1/admin/leads/bulk',
      'post /api/v1/admin/leads/mark-bad',
      'post /api/v1/admin/providers',
      'post /api/v1/admin/providers/{id}/adjustments',
      'post /api/v1/admin/queues/dlq/groups/reclassify',
      'post /api/v1/admin/queues/dlq/groups/{fp}/notes',
      'post /api/v1/admin/queues/dlq/proof/repair',
      'post /api/v1/admin/queues/dlq/{id}/notes',
      'post /api/v1/admin/redrives/{id}/start',
      'post /api/v1/admin/schedules/{name}/catch-up',
      'post /api/v1/admin/schedules/{name}/run',
      'post /api/v1/admin/views',
      'post /api/v1/provider/deposits',
      'put /api/v1/admin/levels/{id}/price',
    ]);
    expect(needs(false)).toContain('post /api/v1/leads');
    expect(needs(false)).toContain('delete /api/v1/provider/subscriptions/{id}');
  });

  it('shows refusals in their one shape, where they can come', () => {
    const refusals = (route: string) =>
      Object.keys(operations[route]?.responses ?? {}).filter((one) => Number(one) >= 400);
    expect(refusals('post /api/v1/leads')).toEqual(['400', '409', '422', '429']);
    expect(refusals('get /api/v1/admin/leads/{id}')).toEqual(['400', '401', '403', '404', '429']);
    expect(refusals('post /api/v1/provider/deposits')).toEqual(['400', '401', '403', '409', '422', '429']);
    const [shape] = [operations['post /api/v1/leads']?.responses['409']];
    expect(fieldsOf(shape?.content)).toEqual(['error', 'code', 'correlation_id', 'details']);
  });

  it('describes the webhook of payments, and the queues', () => {
    const webhook = operations['post /api/v1/webhooks/payments'];
    expect(fieldsOf(webhook?.requestBody?.content)).toContain('amount_cents');
    expect(headerOf('post /api/v1/webhooks/payments', 'x-fmhl-signature')?.required).toBe(true);
    const queues = operations['get /api/v1/admin/queues']?.responses['200'];
    expect(fieldsOf(queues?.content)).toEqual(['queues', 'as_of', 'counted_from']);
  });
});

describe('the serializer of answers', () => {
  it('is built at the first answer, once, and strips what the schema does not name', () => {
    let built = 0;
    const schema = z.object({ lead: z.lazy(() => (built++, z.object({ id: z.int() }))) });
    const serialize = compileSerializer({ schema, method: 'GET', url: '/leads' });
    expect(built).toBe(0);
    const answer = { lead: { id: 7, phone: 'hidden' }, token: 'hidden' };
    expect([serialize(answer), serialize(answer)]).toEqual(['{"lead":{"id":7}}', '{"lead":{"id":7}}']);
    expect(built).toBe(1);
  });
});
