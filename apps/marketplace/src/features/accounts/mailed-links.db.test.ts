import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AccountStage, openAccountStage, password } from './accounts.fixture.ts';

let stage: AccountStage;
beforeAll(async () => {
  stage = await openAccountStage();
});
afterAll(() => stage?.close());

const post = (path: string, payload: object) => stage.ask('POST', path, undefined, payload);
const register = (email: string) => post('/auth/register', { email, password, company: 'Ada Roofing' });
const login = (email: string, secret = password) => post('/auth/login', { email, password: secret });
const verify = (token: string) => post('/auth/verify-email', { token });
const reset = (token: string, chosen = 'cobalt-teapot-17') => post('/auth/reset-password', { token, password: chosen });
const forgot = (email: string) => post('/auth/forgot-password', { email });
const idOf = async (email: string) => {
  const { rows } = await stage.world.db.query<{ id: string; verified: boolean }>(
    sql`select id, email_verified_at is not null as verified from identity.users where email_norm = ${email}`,
  );
  return rows[0] ?? { id: '', verified: false };
};
const eventsOf = async (id: string) => {
  const { rows } = await stage.world.db.query<{ type: string; aggregate_version: number; payload: object }>(
    sql`select type, aggregate_version, payload from ops.event_outbox where aggregate_id = ${id} order by id`,
  );
  return rows;
};

describe('the link that verifies an address', () => {
  it('is mailed at registration, works by POST, and again, and makes the provider active', async () => {
    await register('ada@example.com');
    const { id } = await idOf('ada@example.com');
    expect(await stage.mailsTo('ada@example.com')).toEqual(['verify_email']);
    const token = await stage.mailedLink('ada@example.com', 'verify_email');
    expect((await stage.ask('GET', '/auth/verify-email')).status).toBe(404);
    expect((await idOf('ada@example.com')).verified).toBe(false);
    expect(await verify(token)).toMatchObject({ status: 200, body: { ok: true } });
    expect((await idOf('ada@example.com')).verified).toBe(true);
    expect(await verify(token)).toMatchObject({ status: 200, body: { ok: true } });
    expect(stage.providers).toEqual([`activate ${id}`]);
    expect(await stage.mailsTo('ada@example.com')).toEqual(['verify_email', 'welcome']);
    expect(await stage.audited(id)).toEqual(['user.email_verified']);
    const events = await eventsOf(id);
    expect(events.map(({ type }) => type)).toEqual(['user.registered', 'user.token_issued', 'user.email_verified']);
    expect(events.map(({ aggregate_version }) => aggregate_version)).toEqual([1, 2, 3]);
  });

  it('clicked twenty times at once verifies once, and says so to all', async () => {
    await register('many@example.com');
    const token = await stage.mailedLink('many@example.com', 'verify_email');
    const answers = await Promise.all(Array.from({ length: 20 }, () => verify(token)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const { id } = await idOf('many@example.com');
    expect(stage.providers.filter((told) => told === `activate ${id}`)).toHaveLength(1);
  });

  it('is good for a day', async () => {
    await register('late@example.com');
    const token = await stage.mailedLink('late@example.com', 'verify_email');
    stage.wait(24 * 60 + 1);
    expect(await verify(token)).toMatchObject({ status: 410, verdict: 'expired' });
    expect((await idOf('late@example.com')).verified).toBe(false);
  });

  it('is refused when it is not ours, whole, or for this', async () => {
    await register('odd@example.com');
    const token = await stage.mailedLink('odd@example.com', 'verify_email');
    await forgot('odd@example.com');
    const other = await stage.mailedLink('odd@example.com', 'reset_password');
    for (const bad of ['x', token.slice(1), `${token}A`, 'A'.repeat(64), other]) {
      expect(await verify(bad)).toMatchObject({ status: 400, verdict: 'token_invalid' });
    }
    expect((await idOf('odd@example.com')).verified).toBe(false);
  });

  it('is mailed again to who is signed in, three times within an hour', async () => {
    const who = await stage.signIn({ role: 'provider', emailVerified: false });
    for (const _time of [1, 2, 3, 4, 5]) {
      expect((await stage.ask('POST', '/auth/verify-email/resend', who)).status).toBe(202);
    }
    expect(await stage.mailsTo(who.email)).toEqual(['verify_email', 'verify_email', 'verify_email']);
    const verified = await stage.signIn({ role: 'provider' });
    expect((await stage.ask('POST', '/auth/verify-email/resend', verified)).status).toBe(202);
    expect(await stage.mailsTo(verified.email)).toEqual([]);
    expect((await stage.ask('POST', '/auth/verify-email/resend')).status).toBe(401);
  });
});

describe('a forgotten password', () => {
  it('is answered the same, and as slowly, whether or not the address has an account', async () => {
    await register('known@example.com');
    const times = { known: 0, unknown: 0 };
    for (const name of ['known', 'unknown'] as const) {
      const begun = performance.now();
      expect(await forgot(` ${name.toUpperCase()}@example.com `)).toEqual({
        status: 202,
        verdict: 'ok',
        body: { ok: true },
      });
      times[name] = performance.now() - begun;
    }
    expect(Math.min(times.known, times.unknown)).toBeGreaterThanOrEqual(240);
    expect(Math.abs(times.known - times.unknown)).toBeLessThan(100);
    expect(await stage.mailsTo('known@example.com')).toEqual(['verify_email', 'reset_password']);
    expect(await stage.mailsTo('unknown@example.com')).toEqual([]);
    expect((await forgot('a\u0000@example.com')).status).toBe(202);
    expect((await forgot('half\ud800@example.com')).status).toBe(202);
  });

  it('is chosen anew by the link: all sessions end, the owner is told, the old password and the link are dead', async () => {
    await register('grace@example.com');
    const session = await login('grace@example.com');
    await forgot('grace@example.com');
    const older = await stage.mailedLink('grace@example.com', 'reset_password');
    await forgot('grace@example.com');
    const newer = await stage.mailedLink('grace@example.com', 'reset_password');
    expect(await reset(newer)).toMatchObject({ status: 200, body: { ok: true } });
    const bearer = { headers: { authorization: `Bearer ${String(session.body.token)}` } };
    expect((await stage.ask('GET', '/auth/me', bearer)).verdict).toBe('session_expired');
    expect((await login('grace@example.com')).verdict).toBe('invalid_credentials');
    expect((await login('grace@example.com', 'cobalt-teapot-17')).status).toBe(200);
    for (const used of [newer, older]) expect(await reset(used)).toMatchObject({ status: 410, verdict: 'expired' });
    const { id, verified } = await idOf('grace@example.com');
    expect(verified).toBe(true);
    expect(await stage.mailsTo('grace@example.com')).toContain('password_changed');
    expect(await stage.audited(id)).toEqual(
      expect.arrayContaining(['auth.signed_in', 'user.email_verified', 'user.password_changed']),
    );
  });

  it('chosen anew ends API tokens too', async () => {
    const who = await stage.signIn();
    const order = { name: 'deploy', scopes: ['lead.read'], expires_in_days: 30 };
    const { body } = await stage.ask('POST', '/auth/tokens', who, order);
    const byToken = { headers: { authorization: `Bearer ${String(body.token)}` } };
    expect((await stage.ask('GET', '/staff', byToken)).status).toBe(200);
    await forgot(who.email);
    await reset(await stage.mailedLink(who.email, 'reset_password'));
    expect((await stage.ask('GET', '/staff', byToken)).status).toBe(401);
    const { rows } = await stage.world.db.query(sql`
      select details from ops.audit_log where action = 'user.password_changed' and target_id = ${who.userId}`);
    expect(rows).toEqual([{ details: { sessions: 1, tokens: 1 } }]);
  });

  it('is set by one of ten who show the same link at once', async () => {
    await register('race@example.com');
    await forgot('race@example.com');
    const token = await stage.mailedLink('race@example.com', 'reset_password');
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => reset(token, `cobalt-teapot-${n}${n}`)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ verdict }) => verdict === 'expired')).toHaveLength(9);
  });

  it('must be a good one, and a bad one does not use the link up', async () => {
    await register('weak@example.com');
    await forgot('weak@example.com');
    const token = await stage.mailedLink('weak@example.com', 'reset_password');
    for (const weak of ['short', 'password123', 'weak@example.com', 'x'.repeat(1024), 'tangerine\u0000lamp']) {
      expect(await reset(token, weak)).toMatchObject({ status: 400, verdict: 'validation_failed' });
    }
    expect((await reset(token)).status).toBe(200);
  });

  it('is not chosen after an hour, by a link of another kind, or for a disabled user', async () => {
    await register('slow@example.com');
    const wrongKind = await stage.mailedLink('slow@example.com', 'verify_email');
    expect(await reset(wrongKind)).toMatchObject({ status: 400, verdict: 'token_invalid' });
    await forgot('slow@example.com');
    const token = await stage.mailedLink('slow@example.com', 'reset_password');
    await stage.world.db.query(
      sql`update identity.users set status = 'disabled' where email_norm = 'slow@example.com'`,
    );
    expect((await reset(token)).verdict).toBe('expired');
    await forgot('slow@example.com');
    expect(await stage.mailsTo('slow@example.com')).toEqual(['verify_email', 'reset_password']);
    await stage.world.db.query(sql`update identity.users set status = 'active' where email_norm = 'slow@example.com'`);
    stage.wait(61);
    expect((await reset(token)).verdict).toBe('expired');
    expect((await login('slow@example.com')).status).toBe(200);
  });
});

it('keeps tokens out of tables, jobs, events and the log', async () => {
  await register('secret@example.com');
  await forgot('secret@example.com');
  const tokens = [
    await stage.mailedLink('secret@example.com', 'verify_email'),
    await stage.mailedLink('secret@example.com', 'reset_password'),
  ];
  await reset(tokens[1] ?? '');
  const { rows } = await stage.world.db.query<{ text: string }>(sql`
    select coalesce(string_agg(t, ' '), '') as text from (
      select x::text as t from email x union all select x::text from identity.user_token x
      union all select x::text from ops.job_outbox x union all select x::text from ops.event_outbox x
      union all select x::text from ops.audit_log x union all select x::text from ops.job_run x) all_rows`);
  const written = `${rows[0]?.text} ${stage.world.lines.join(' ')}`;
  expect(written.length).toBeGreaterThan(1000);
  for (const token of tokens) expect(written).not.toContain(token.slice(22, 62));
});
