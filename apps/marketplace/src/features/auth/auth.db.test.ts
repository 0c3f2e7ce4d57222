import { type Denial, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testKeys } from '../../testing/auth.ts';
import { openTestServer } from '../../testing/http.ts';
import { openTestWorld } from '../../testing/world.ts';
import { queueMail } from '../email/index.ts';
import type { MailVerification } from './register.ts';
import { authRoutes, createFirstAdmin, createUser, openAuthorizer, openPasswords } from './index.ts';

let world: Awaited<ReturnType<typeof openTestWorld>>;
let app: FastifyInstance;
let clock = new Date('2026-05-01T12:00:00Z');
const passwords = openPasswords({ memoryKib: 64, passes: 1 });
const password = 'tangerine-lamp-42';
const wait = (minutes: number) => {
  clock = new Date(clock.getTime() + minutes * 60_000);
};

const denied: Denial[] = [];
beforeAll(async () => {
  world = await openTestWorld();
  const now = () => clock;
  const createProvider = (
    tx: Parameters<typeof createUser>[0],
    { userId, company, tz, status }: Record<string, string>,
  ) =>
    tx.query(sql`insert into provider (user_id, company, tz, status) values (${userId}, ${company}, ${tz}, ${status})`);
  const mailVerification: MailVerification = (tx, { userId, email: to }) =>
    queueMail(tx, {
      template: 'verify_email',
      variables: { token_id: userId },
      to,
      dedupeKey: `verify_email:${userId}`,
    });
  const relyingParty = { id: 'leads.example.com', origin: 'https://leads.example.com' };
  const given = { keys: testKeys, passwords, now, createProvider, mailVerification, relyingParty };
  app = await openTestServer(world.log, {
    routes: (server) => authRoutes(server, { db: world.db, log: world.log, ...given }),
    authorize: openAuthorizer({
      db: world.db,
      now,
      publicUrl: 'https://leads.example.com',
      authorizeToken: async () => undefined,
    }),
    denials: { record: (denial) => void denied.push(denial) },
  });
});
afterAll(async () => {
  await app?.close();
  await world?.close();
});

async function addUser(email: string, role: 'admin' | 'provider' = 'provider') {
  const passwordHash = await passwords.hash(password);
  const draft = { email, passwordHash, displayName: 'Ada Roofing', role, emailVerified: true };
  return world.db.transaction((tx) => createUser(tx, draft, world));
}

async function signIn(email: string) {
  const answer = await app.inject({ method: 'POST', url: '/auth/login', payload: { email, password } });
  expect(answer.statusCode).toBe(200);
  return { token: answer.json().token as string, cookie: String(answer.headers['set-cookie']), body: answer.json() };
}

const me = (headers: Record<string, string>) => app.inject({ method: 'GET', url: '/auth/me', headers });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const count = async (statement: ReturnType<typeof sql>) => (await world.db.query(statement)).rows.length;

describe('registration', () => {
  const register = (payload: object) => app.inject({ method: 'POST', url: '/auth/register', payload });
  const ada = { email: 'Ada@Example.com', password, company: 'Ada Roofing', tz: 'America/Chicago' };

  it('adds a user and a provider who waits for verification, with event and mail', async () => {
    const answer = await register(ada);
    expect([answer.statusCode, answer.json()]).toEqual([201, { ok: true }]);
    const { rows } = await world.db.query(sql`
      select u.email, u.email_norm, u.role, u.email_verified_at, u.password_hash ~ '^\\$argon2id' as hashed,
             p.company, p.tz, p.status, e.type, e.payload, m.template
      from identity.users u join provider p on p.user_id = u.id
      join ops.event_outbox e on e.aggregate_id = u.id::text
      join email m on m.dedupe_key = 'verify_email:' || u.id where u.email_norm = 'ada@example.com'`);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      email: 'Ada@Example.com',
      role: 'provider',
      email_verified_at: null,
      hashed: true,
      company: 'Ada Roofing',
      tz: 'America/Chicago',
      status: 'pending',
      type: 'user.registered',
      template: 'verify_email',
    });
    expect(JSON.stringify(rows[0]?.payload)).not.toContain('@');
  });

  it('answers the same for a known address, changes nothing and mails its owner once a day', async () => {
    const known = { ...ada, email: ' ada@EXAMPLE.com', password: 'another-password', company: 'Impostor' };
    for (const _time of [1, 2]) {
      const answer = await register(known);
      expect([answer.statusCode, answer.json()]).toEqual([201, { ok: true }]);
    }
    expect(await count(sql`select from identity.users where email_norm = 'ada@example.com'`)).toBe(1);
    expect(await count(sql`select from provider where company = 'Impostor'`)).toBe(0);
    const { rows } = await world.db.query(
      sql`select template from email where lower(to_address) = 'ada@example.com' order by created_at`,
    );
    expect(rows).toEqual([{ template: 'verify_email' }, { template: 'account_known' }]);
    await signIn('ada@example.com');
  });

  it('of one address at once makes one account', async () => {
    const twin = { ...ada, email: 'twin@example.com' };
    const answers = await Promise.all([1, 2, 3, 4].map(() => register(twin)));
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([201, 201, 201, 201]);
    expect(
      await count(
        sql`select from provider p join identity.users u on u.id = p.user_id where email_norm = 'twin@example.com'`,
      ),
    ).toBe(1);
  });

  it.each([
    ['a short password', { password: 'tangerine' }],
    ['a common password', { password: 'Password123' }],
    ['the company as password', { password: 'ada roofing' }],
    ['a password with NUL', { password: 'tangerine\u0000lamp' }],
    ['a password over 1 KB', { password: 'x'.repeat(2000) }],
    ['a bad e-mail', { email: 'ada' }],
    ['a company with NUL', { company: 'a\u0000b' }],
    ['half a surrogate pair', { company: 'a\ud800b' }],
    ['an unknown time zone', { tz: 'Mars/Olympus' }],
    ['an unknown field', { role: 'admin' }],
    ['a wrong type', { email: 5 }],
  ])('refuses %s', async (_what, fault) => {
    const answer = await register({ ...ada, email: 'bad@example.com', ...fault });
    expect([answer.statusCode, answer.json().code]).toEqual([400, 'validation_failed']);
    expect(answer.body).not.toContain('tangerine');
    expect(await count(sql`select from identity.users where email_norm = 'bad@example.com'`)).toBe(0);
  });
});

describe('sign-in', () => {
  it('answers a token that works as Bearer and as cookie, and stores only its hash', async () => {
    await addUser('grace@example.com');
    const { token, cookie, body } = await signIn('Grace@example.com');
    expect(body).toMatchObject({
      token_type: 'Bearer',
      mfa_required: false,
      user: { role: 'provider', email_verified: true },
    });
    expect(new Date(body.expires_at).getTime() - clock.getTime()).toBe(7 * 86_400_000);
    expect(cookie).toMatch(/^fmhl_session=[\w-]{43}; .*HttpOnly/);
    expect(cookie).toMatch(/SameSite=Lax/);
    expect(cookie).not.toMatch(/Secure/);
    expect((await me(bearer(token))).json()).toMatchObject({
      user: { email: 'grace@example.com' },
      session: { mfa: false, mfa_at: null },
    });
    expect((await me({ cookie: `fmhl_session=${token}` })).statusCode).toBe(200);
    const { rows } = await world.db.query(sql`select s::text as row from identity.session s`);
    expect(JSON.stringify(rows)).not.toContain(token);
    expect(
      await count(sql`select from ops.audit_log where action = 'auth.signed_in' and target_id = ${body.user.id}`),
    ).toBe(1);
  });

  it('on another host binds the cookie to it', async () => {
    const headers = { host: 'leads.example.com' };
    const answer = await app.inject({
      method: 'POST',
      url: '/auth/login',
      headers,
      payload: { email: 'grace@example.com', password },
    });
    expect(answer.headers['set-cookie']).toMatch(/^__Host-fmhl_session=.*; Path=\/; .*; Secure/);
    const cookie = String(answer.headers['set-cookie']).split(';')[0] ?? '';
    expect((await me({ ...headers, cookie })).statusCode).toBe(200);
    expect((await me({ ...headers, cookie: cookie.replace('__Host-', '') })).statusCode).toBe(401);
  });

  it('refuses a wrong password, an unknown user and a disabled one alike', async () => {
    await addUser('off@example.com');
    await world.db.query(sql`update identity.users set status = 'disabled' where email_norm = 'off@example.com'`);
    const tries = [
      { email: 'grace@example.com', password: 'wrong-password' },
      { email: 'nobody@example.com', password },
      { email: 'off@example.com', password },
      { email: 'nobody\u0000@example.com', password },
      { email: 'grace@example.com', password: `${password}\u0000` },
    ];
    for (const payload of tries) {
      const answer = await app.inject({ method: 'POST', url: '/auth/login', payload });
      expect([answer.statusCode, answer.json().code]).toEqual([401, 'invalid_credentials']);
      expect(answer.headers['set-cookie']).toBeUndefined();
    }
  });
});

describe('a session', () => {
  const codeOf = async (token: string) => {
    const answer = await me(bearer(token));
    return answer.statusCode === 200 ? 'live' : answer.json().code;
  };

  it('is needed, and must be real', async () => {
    expect((await me({})).json().code).toBe('no_session');
    expect((await me({ cookie: 'fmhl_session=nonsense' })).json().code).toBe('no_session');
    expect((await me({ cookie: `fmhl_session=${'A'.repeat(43)}` })).json().code).toBe('no_session');
    for (const header of ['Bearer nonsense', `Bearer ${'A'.repeat(43)}`, 'Basic YTpi', '']) {
      expect((await me({ authorization: header })).json().code).toBe('token_invalid');
    }
  });

  it('notes its use once a minute and lives on while used, up to its end', async () => {
    await addUser('use@example.com');
    const { token } = await signIn('use@example.com');
    const seen = async () => {
      const { rows } = await world.db.query<{ version: number }>(sql`
        select s.version from identity.session s join identity.users u on u.id = s.user_id where u.email_norm = 'use@example.com'`);
      return rows[0]?.version;
    };
    wait(0.5);
    await codeOf(token);
    expect(await seen()).toBe(1);
    wait(1);
    await Promise.all([codeOf(token), codeOf(token), codeOf(token)]);
    expect(await seen()).toBe(2);
    for (let hours = 0; hours < 165; hours += 11) {
      wait(11 * 60);
      expect(await codeOf(token)).toBe('live');
    }
    wait(4 * 60);
    expect(await codeOf(token)).toBe('session_expired');
  });

  it('of a provider ends after 12 unused hours, of an admin after 1', async () => {
    await addUser('idle@example.com');
    await addUser('boss@example.com', 'admin');
    const [{ token }, admin] = [await signIn('idle@example.com'), await signIn('boss@example.com')];
    wait(61);
    expect([await codeOf(token), await codeOf(admin.token)]).toEqual(['live', 'session_expired']);
    wait(12 * 60 + 1);
    expect(await codeOf(token)).toBe('session_expired');
  });

  it('ends with its user', async () => {
    await addUser('gone@example.com');
    const { token } = await signIn('gone@example.com');
    await world.db.query(sql`update identity.users set status = 'disabled' where email_norm = 'gone@example.com'`);
    expect(await codeOf(token)).toBe('token_invalid');
  });

  it('ends on the server at logout, alone or with all others of the user', async () => {
    await addUser('out@example.com');
    await addUser('other@example.com');
    const [one, two, three] = [
      await signIn('out@example.com'),
      await signIn('out@example.com'),
      await signIn('out@example.com'),
    ];
    const other = await signIn('other@example.com');
    const logout = (token: string, payload?: object) =>
      app.inject({ method: 'POST', url: '/auth/logout', headers: bearer(token), ...(payload && { payload }) });
    const answer = await logout(one.token);
    expect([answer.statusCode, answer.body]).toEqual([204, '']);
    expect(answer.headers['set-cookie']).toMatch(/^fmhl_session=;.*Expires=Thu, 01 Jan 1970/);
    expect([await codeOf(one.token), await codeOf(two.token)]).toEqual(['session_expired', 'live']);
    expect((await logout(two.token, { all: true })).statusCode).toBe(204);
    expect([await codeOf(three.token), await codeOf(other.token)]).toEqual(['session_expired', 'live']);
    expect((await logout(other.token, { everything: true })).statusCode).toBe(400);
  });
});

describe('a write by cookie', () => {
  it('needs our own origin and our header; a write by Bearer needs neither', async () => {
    await addUser('site@example.com');
    const { token } = await signIn('site@example.com');
    const cookie = `fmhl_session=${token}`;
    const own = { cookie, host: 'localhost:3000', origin: 'http://localhost:3000', 'x-fmhl-client': '1' };
    const { origin: _origin, ...withoutOrigin } = own;
    const { 'x-fmhl-client': _client, ...withoutClient } = own;
    const foreign = [
      withoutOrigin,
      withoutClient,
      { ...own, origin: 'http://evil.example' },
      { ...own, origin: 'null' },
      { ...own, origin: 'https://localhost:3000' },
      { ...own, origin: 'http://localhost:3001' },
    ];
    for (const headers of foreign) {
      const answer = await app.inject({ method: 'POST', url: '/auth/logout', headers });
      expect([answer.statusCode, answer.json().code]).toEqual([403, 'origin_refused']);
    }
    expect((await me(own)).statusCode).toBe(200);
    expect((await app.inject({ method: 'POST', url: '/auth/logout', headers: own })).statusCode).toBe(204);
  });

  it('that another site made is kept as a refusal of whose browser it was, and of nobody without a session', async () => {
    const { token, body } = await signIn('site@example.com');
    const post = (cookie: string) =>
      app.inject({ method: 'POST', url: '/auth/logout', headers: { cookie, origin: 'http://evil.example' } });
    denied.length = 0;
    expect((await post(`fmhl_session=${token}`)).json().code).toBe('origin_refused');
    expect((await post(`fmhl_session=${'A'.repeat(43)}`)).json().code).toBe('origin_refused');
    expect(denied).toMatchObject([{ actor: { id: body.user.id }, route: 'POST /auth/logout', code: 'origin_refused' }]);
  });

  it('may come from the public origin, which a proxy that ends TLS hides', async () => {
    const { token } = await signIn('site@example.com');
    const behind = { host: 'leads.example.com', origin: 'https://leads.example.com', 'x-fmhl-client': '1' };
    const headers = { ...behind, cookie: `__Host-fmhl_session=${token}` };
    expect((await app.inject({ method: 'POST', url: '/auth/logout', headers })).statusCode).toBe(204);
  });
});

describe('the first admin', () => {
  it('is made once, whoever starts first, with a readable password', async () => {
    await world.db.query(sql`delete from identity.users where role = 'admin'`);
    const deps = { passwords, keys: testKeys, log: world.log, now: () => clock };
    const starts = await Promise.all(
      [1, 2, 3].map(() => createFirstAdmin(world.db, { email: 'root@example.com' }, deps)),
    );
    const [made] = starts.filter(({ created }) => created);
    expect(starts.filter(({ created }) => created)).toHaveLength(1);
    expect(made?.password).toMatch(/^[a-z2-9]{5}(-[a-z2-9]{5}){3}$/);
    const answer = await app.inject({
      method: 'POST',
      url: '/auth/login',
      payload: { email: 'root@example.com', password: made?.password },
    });
    expect(answer.json().user).toMatchObject({ role: 'admin', email_verified: true });
    expect(await createFirstAdmin(world.db, { email: 'second@example.com', password: 'ignored-then' }, deps)).toEqual({
      created: false,
    });
  });

  it('takes a given password, if it is good', async () => {
    await world.db.query(sql`delete from identity.users where role = 'admin'`);
    const deps = { passwords, keys: testKeys, log: world.log, now: () => clock };
    await expect(createFirstAdmin(world.db, { email: 'root@example.com', password: 'short' }, deps)).rejects.toThrow(
      'validation_failed',
    );
    expect(await createFirstAdmin(world.db, { email: 'root@example.com', password }, deps)).toEqual({ created: true });
  });
});

it('leaves no address, token or password in the log', () => {
  const log = world.lines.join('');
  for (const event of ['user_registered', 'user_signed_in', 'sign_in_refused'])
    expect(log).toContain(`"event":"${event}"`);
  expect(log).not.toMatch(/@example|tangerine|Bearer|fmhl_session=/i);
});
