import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, openApp } from './app.ts';
import { type Environment, readConfig } from './config.ts';
import { buildHttp } from './http.ts';

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
