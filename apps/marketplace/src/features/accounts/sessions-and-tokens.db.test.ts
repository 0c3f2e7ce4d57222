import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestSignIn } from '../../testing/auth.ts';
import { type AccountStage, openAccountStage } from './accounts.fixture.ts';

let stage: AccountStage;
beforeAll(async () => {
  stage = await openAccountStage();
});
afterAll(() => stage?.close());

const idsOf = (body: unknown) => (body as { items: { id: string }[] }).items.map(({ id }) => id);
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const staff = (token: string, path = '/staff') => stage.ask('GET', path, bearer(token));

describe('the own sessions', () => {
  it('are listed without those of others, of the past, and those that wait for a second factor', async () => {
    const [who, other] = [await stage.signIn(), await stage.signIn()];
    await stage.world.db.query(sql`
      insert into identity.session (user_id, token_sha256, kind, idle_expires_at, expires_at, revoked_at)
      select ${who.userId}, sha256(n::text::bytea), k, e, e, r from (values
        (1, 'mfa_pending', now() + interval '1 hour', null), (2, 'full', now() - interval '1 hour', null),
        (3, 'full', now() + interval '1 hour', now())) v (n, k, e, r)`);
    const { status, body } = await stage.ask('GET', '/auth/sessions', who);
    expect(status).toBe(200);
    expect(body).toMatchObject({ items: [{ current: true, mfa: true, ip: '192.0.2.7', user_agent: 'test' }] });
    expect(JSON.stringify(body)).not.toContain(who.token);
    expect((await stage.ask('GET', '/auth/sessions', other)).body.items).toHaveLength(1);
  });

  it('end at once, and not by another user', async () => {
    const [who, other] = [await stage.signIn(), await stage.signIn()];
    const [id = ''] = idsOf((await stage.ask('GET', '/auth/sessions', who)).body);
    const byOther = await stage.ask('DELETE', `/auth/sessions/${id}`, other);
    expect(byOther).toMatchObject({ status: 404, verdict: 'not_found' });
    expect((await stage.ask('GET', '/auth/me', who)).status).toBe(200);
    expect((await stage.ask('DELETE', `/auth/sessions/${id}`, who)).status).toBe(204);
    expect((await stage.ask('GET', '/auth/me', who)).verdict).toBe('session_expired');
    expect((await stage.ask('DELETE', `/auth/sessions/${randomUUID()}`, other)).status).toBe(404);
    expect((await stage.ask('DELETE', '/auth/sessions/nonsense', other)).status).toBe(400);
  });
});

describe('an API token', () => {
  const create = (who: TestSignIn, more: object = {}) =>
    stage.ask('POST', '/auth/tokens', who, { name: 'deploy', scopes: ['lead.read'], expires_in_days: 30, ...more });
  const made = async (who: TestSignIn, more: object = {}) => {
    const { status, body } = await create(who, more);
    expect(status).toBe(201);
    return body as unknown as { id: string; token: string; expires_at: string };
  };

  it('is shown once, kept as a hash, and does what its scopes say and no more', async () => {
    const who = await stage.signIn();
    const { id, token, expires_at } = await made(who);
    expect(token).toMatch(/^fmhl_[\w-]{43}$/);
    expect(Math.round((new Date(expires_at).getTime() - stage.now().getTime()) / 86_400_000)).toBe(30);
    expect((await staff(token)).status).toBe(200);
    expect(await staff(token, '/staff/other')).toMatchObject({ status: 403, verdict: 'missing_permission' });
    const { body } = await stage.ask('GET', '/auth/tokens', who);
    expect(body).toMatchObject({ items: [{ id, name: 'deploy', scopes: ['lead.read'], revoked_at: null }] });
    expect(JSON.stringify(body)).not.toContain(token);
    const { rows } = await stage.world.db.query(sql`select t::text from identity.api_token t`);
    expect(JSON.stringify(rows)).not.toContain(token.slice(5));
    expect(await stage.audited(id)).toEqual(['token.created']);
    expect(stage.world.lines.join()).not.toContain(token);
  });

  it('never counts as a fresh second factor, from its first moment on', async () => {
    const { token } = await made(await stage.signIn());
    expect(await staff(token, '/staff/fresh')).toMatchObject({ status: 403, verdict: 'mfa_stale' });
  });

  it('manages no account: it makes no token, ends no session, adds no passkey', async () => {
    const { token } = await made(await stage.signIn());
    const tries = [
      ['GET', '/auth/tokens'],
      ['POST', '/auth/tokens'],
      ['DELETE', `/auth/tokens/${randomUUID()}`],
      ['GET', '/auth/sessions'],
      ['DELETE', `/auth/sessions/${randomUUID()}`],
      ['GET', '/auth/passkeys'],
      ['POST', '/auth/passkeys/options'],
      ['POST', '/auth/verify-email/resend'],
    ] as const;
    for (const [method, path] of tries) {
      expect(await stage.ask(method, path, bearer(token))).toMatchObject({ status: 401, verdict: 'no_session' });
    }
  });

  it('is made with a fresh second factor only', async () => {
    const never = await stage.signIn({ mfaAt: null });
    expect(await create(never)).toMatchObject({ status: 403, verdict: 'mfa_required' });
    const stale = await stage.signIn({ mfaAt: new Date(stage.now().getTime() - 16 * 60_000) });
    expect(await create(stale)).toMatchObject({ status: 403, verdict: 'mfa_stale' });
    expect(await stage.ask('POST', '/auth/tokens', stale, { rubbish: 1 })).toMatchObject({ verdict: 'mfa_stale' });
  });

  it('takes no scope its user has not, and loses those the user loses', async () => {
    const viewer = await stage.signIn({ role: 'viewer' });
    expect(await create(viewer)).toMatchObject({ status: 403, verdict: 'missing_permission' });
    expect(await create(viewer, { scopes: ['no.such'] })).toMatchObject({ status: 403 });
    const admin = await stage.signIn();
    const { token } = await made(admin);
    await stage.world.db.query(sql`update identity.users set role = 'viewer' where id = ${admin.userId}`);
    expect(await staff(token)).toMatchObject({ status: 403, verdict: 'missing_permission' });
  });

  it.each([
    ['no end', { expires_in_days: undefined }],
    ['more than a year', { expires_in_days: 366 }],
    ['no day', { expires_in_days: 0 }],
    ['no scope', { scopes: [] }],
    ['a name of two lines', { name: 'a\nb' }],
    ['an end of its own', { expires_at: '2099-01-01T00:00:00Z' }],
    ['a user of its own', { user_id: randomUUID() }],
  ])('is refused with %s', async (_what, fault) => {
    expect(await create(await stage.signIn(), fault)).toMatchObject({ status: 400, verdict: 'validation_failed' });
  });

  it('ends when it is revoked, by its owner alone; when its day comes; and with its user', async () => {
    const [who, other] = [await stage.signIn(), await stage.signIn()];
    const { id, token } = await made(who);
    expect((await stage.ask('DELETE', `/auth/tokens/${id}`, other)).status).toBe(404);
    expect((await staff(token)).status).toBe(200);
    expect((await stage.ask('DELETE', `/auth/tokens/${id}`, who)).status).toBe(204);
    expect((await stage.ask('DELETE', `/auth/tokens/${id}`, who)).status).toBe(204);
    expect(await staff(token)).toMatchObject({ status: 401, verdict: 'token_invalid' });
    expect(await stage.audited(id)).toEqual(['token.created', 'token.revoked']);
    const { token: ofOther } = await made(other);
    await stage.world.db.query(sql`update identity.users set status = 'disabled' where id = ${other.userId}`);
    expect((await staff(ofOther)).verdict).toBe('token_invalid');
    const { token: short } = await made(await stage.signIn(), { expires_in_days: 1 });
    stage.wait(24 * 60 - 1);
    expect((await staff(short)).status).toBe(200);
    stage.wait(2);
    expect((await staff(short)).verdict).toBe('token_invalid');
  });

  it('of another form or unknown is refused, and never taken for a session', async () => {
    const { token } = await made(await stage.signIn());
    const last = token.endsWith('A') ? 'B' : 'A';
    for (const bad of [
      `fmhl_${'A'.repeat(43)}`,
      token.slice(5),
      token.slice(0, -1),
      `${token}A`,
      token.slice(0, -1) + last,
    ]) {
      expect(await staff(bad)).toMatchObject({ status: 401, verdict: 'token_invalid' });
    }
    const asCookie = await stage.app.inject({ url: '/staff', headers: { cookie: `__Host-fmhl_session=${token}` } });
    expect(asCookie.statusCode).toBe(401);
  });

  it('notes its use once a minute', async () => {
    const { id, token } = await made(await stage.signIn());
    const version = async () => {
      const { rows } = await stage.world.db.query<{ version: number }>(
        sql`select version from identity.api_token where id = ${id} and last_used_at is not null`,
      );
      return rows[0]?.version;
    };
    await Promise.all([staff(token), staff(token), staff(token)]);
    expect(await version()).toBe(2);
    stage.wait(1.1);
    await staff(token);
    expect(await version()).toBe(3);
  });
});
