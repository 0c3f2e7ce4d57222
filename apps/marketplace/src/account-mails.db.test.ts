import { createHash } from 'node:crypto';
import { Script } from 'node:vm';
import { type JobHandler, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type App, openApp } from './app.ts';
import { readConfig } from './config.ts';
import { type Mailbox, startMailbox } from './embedded/mailbox.ts';
import { buildHttp } from './http.ts';
import { retainTables } from './retention.ts';
import { openTestWorld, type TestWorld } from './testing/world.ts';

let world: TestWorld;
let mailbox: Mailbox;
let app: App;
let server: FastifyInstance;
let send: JobHandler<{ v: 1; email_id: string }>;
const email = 'ada@example.com';
const password = 'tangerine-lamp-42';

beforeAll(async () => {
  [world, mailbox] = await Promise.all([openTestWorld(), startMailbox()]);
  const tokenKey = '00'.repeat(32);
  const config = readConfig({ TOKEN_KEY: tokenKey, PUBLIC_URL: 'https://leads.example.com' });
  const servers = { databaseUrl: world.url, redisUrl: inject('redisUrl'), smtpUrl: mailbox.smtpUrl, tokenKey };
  app = openApp({ ...config, ...servers }, { role: 'all', logTo: { write() {} } });
  const { email_send: work } = app.handlers();
  send = (typeof work === 'function' ? work : work?.handler) as typeof send;
  server = await buildHttp(app);
});
afterAll(async () => {
  await server?.close();
  await app?.close();
  await mailbox?.stop();
  await world?.close();
});

/** Sends what is promised, as the worker does, and answers the newest mail. */
async function newestMail() {
  const { rows } = await world.db.query<{ id: string }>(sql`select id from email where status = 'queued'`);
  for (const { id } of rows) {
    await send({
      queue: 'email_send',
      kind: 'send_email',
      payload: { v: 1, email_id: id },
      runKey: `email-${id}`,
      rootKey: `email-${id}`,
      attempt: 1,
      maxAttempts: 8,
      signal: new AbortController().signal,
      commit: (work) => world.db.transaction(work),
    });
  }
  const [mail] = mailbox.list({ to: email });
  if (!mail) throw new Error('no mail came');
  const url = new URL(/https:\/\/\S+/.exec(mail.text)?.[0] ?? '');
  return { subject: mail.subject, url, token: new URLSearchParams(url.hash.slice(1)).get('token') ?? '' };
}

type Method = 'GET' | 'POST' | 'PATCH';
const ask = (method: Method, path: string, token: string, payload?: object) =>
  server.inject({
    method,
    url: `/api/v1${path}`,
    headers: { authorization: `Bearer ${token}`, 'idempotency-key': `key-of-${method}` },
    ...(payload && { payload }),
  });
const post = (path: string, payload: object) => server.inject({ method: 'POST', url: `/api/v1${path}`, payload });

/** A page that runs one script, its own, and sends nothing anywhere but to us. */
async function servesItsPage(url: URL) {
  const page = await server.inject({ url: url.pathname });
  expect(page.statusCode).toBe(200);
  const script = /<script>([\s\S]*)<\/script>/.exec(page.body)?.[1] ?? '';
  const hash = createHash('sha256').update(script).digest('base64');
  expect(page.headers['content-security-policy']).toContain(`script-src 'sha256-${hash}'; connect-src 'self'`);
  expect(page.headers['content-security-policy']).toContain("default-src 'none'");
  expect(page.headers['referrer-policy']).toBe('no-referrer');
  expect(() => new Script(script)).not.toThrow();
  return page.body;
}

describe('a provider who registers', () => {
  const portal = async () => {
    const login = await post('/auth/login', { email, password });
    return String(login.json().token);
  };

  it('changes nothing before the click on the mailed link, and may buy after it', async () => {
    await post('/auth/register', { email, password, company: 'Ada Roofing' });
    const token = await portal();
    const id = '0198c0de-0000-7000-8000-000000000001';
    const writes = [
      await ask('POST', '/provider/deposits', token, { amount_cents: 5000 }),
      await ask('PATCH', '/provider/me', token, { company: 'Ada' }),
      await ask('POST', '/provider/subscriptions', token, { level_id: id, areas: ['US-CA'] }),
      await ask('POST', `/provider/inbox/${id}/accept`, token, {}),
    ];
    for (const answer of writes) expect([answer.statusCode, answer.json().code]).toEqual([403, 'email_unverified']);
    const mail = await newestMail();
    expect([mail.subject, mail.url.pathname]).toEqual(['Please verify your e-mail address', '/verify-email']);
    expect(await servesItsPage(mail.url)).toContain('/api/v1/auth/verify-email');
    expect((await post('/auth/verify-email', { token: mail.token })).statusCode).toBe(200);
    expect((await ask('GET', '/provider/me', token)).json()).toMatchObject({ status: 'active' });
    expect((await ask('PATCH', '/provider/me', token, { company: 'Ada' })).statusCode).toBe(200);
    expect((await newestMail()).subject).toBe('Welcome to Find Me a Hot Lead');
  });

  it('chooses another password by the mailed link, and is told', async () => {
    await post('/auth/forgot-password', { email });
    const mail = await newestMail();
    expect(mail.url.pathname).toBe('/reset-password');
    expect(await servesItsPage(mail.url)).toContain('type="password"');
    const chosen = { token: mail.token, password: 'cobalt-teapot-17' };
    expect((await post('/auth/reset-password', chosen)).statusCode).toBe(200);
    expect((await newestMail()).subject).toBe('Your password was changed');
    expect((await post('/auth/login', { email, password })).json().code).toBe('invalid_credentials');
    expect((await post('/auth/login', { email, password: chosen.password })).statusCode).toBe(200);
  });
});

it('the retention removes challenges that have ended', async () => {
  await world.db.query(sql`
    insert into identity.passkey_challenge (challenge, purpose, expires_at)
    values ('old', 'sign_in', now() - interval '1 s'), ('young', 'sign_in', now() + interval '1 hour')`);
  const { signal } = new AbortController();
  expect(await retainTables(app.db, { now: app.now(), signal })).toMatchObject({ tokens_and_challenges: 1 });
  const { rows } = await world.db.query(sql`select challenge from identity.passkey_challenge`);
  expect(rows).toEqual([{ challenge: 'young' }]);
});
