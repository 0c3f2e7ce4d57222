import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestSignIn } from '../../testing/auth.ts';
import { type AccountStage, openAccountStage } from './accounts.fixture.ts';

let stage: AccountStage;
let admin: TestSignIn;
const memo = 'as agreed by telephone';

beforeAll(async () => {
  stage = await openAccountStage();
});
afterAll(() => stage?.close());
beforeEach(async () => {
  await stage.world.db.query(sql`update identity.users set status = 'disabled' where role = 'admin'`);
  admin = await stage.signIn();
});

const users = '/admin/users';
const act = (name: string, id: string, who: TestSignIn = admin, payload: object = { memo }) =>
  stage.ask('POST', `${users}/${id}/${name}`, who, payload);
const setRole = (id: string, role: string, who: TestSignIn = admin) =>
  stage.ask('PUT', `${users}/${id}/role`, who, { role });
const isIn = async (who: TestSignIn) => (await stage.ask('GET', '/auth/me', who)).status === 200;
const activeAdmins = async () => {
  const { rows } = await stage.world.db.query(
    sql`select from identity.users where role = 'admin' and status = 'active'`,
  );
  return rows.length;
};

describe('users', () => {
  it('are listed newest first, by role and status, page by page, without secrets', async () => {
    const made = [await stage.signIn({ role: 'finance' }), await stage.signIn({ role: 'finance', status: 'disabled' })];
    const first = await stage.ask('GET', `${users}?role=finance&limit=1`, admin);
    expect(first.body).toMatchObject({ items: [{ id: made[1]?.userId, status: 'disabled', role: 'finance' }] });
    const cursor = (first.body.pagination as { next_cursor: string }).next_cursor;
    const second = await stage.ask('GET', `${users}?role=finance&limit=1&cursor=${cursor}`, admin);
    expect(second.body).toMatchObject({ items: [{ id: made[0]?.userId }], pagination: { next_cursor: null } });
    const active = await stage.ask('GET', `${users}?role=finance&status=active`, admin);
    expect(active.body.items).toHaveLength(1);
    expect(JSON.stringify(first.body)).not.toMatch(/password|hash|token/);
  });

  it('are nobody else’s business', async () => {
    for (const role of ['viewer', 'responder', 'finance', 'provider'] as const) {
      const who = await stage.signIn({ role, mfaAt: stage.now() });
      expect(await stage.ask('GET', users, who)).toMatchObject({ status: 403, verdict: 'missing_permission' });
      expect((await setRole(who.userId, 'admin', who)).verdict).toBe('missing_permission');
      expect((await act('disable', admin.userId, who)).verdict).toBe('missing_permission');
    }
    expect((await stage.ask('GET', users)).status).toBe(401);
  });

  it('who are added get a link for a password, which verifies the address', async () => {
    const email = 'New.Viewer@example.com';
    const { status, body } = await stage.ask('POST', users, admin, { email, role: 'viewer' });
    expect([status, body]).toMatchObject([201, { email, role: 'viewer', status: 'active', email_verified: false }]);
    expect(await stage.mailsTo(email)).toEqual(['reset_password']);
    expect(await stage.audited(String(body.id))).toEqual(['user.created']);
    stage.wait(71 * 60);
    const token = await stage.mailedLink(email, 'reset_password');
    const chosen = { token, password: 'cobalt-teapot-17' };
    expect((await stage.ask('POST', '/auth/reset-password', undefined, chosen)).status).toBe(200);
    const login = await stage.ask('POST', '/auth/login', undefined, { email, password: chosen.password });
    expect(login.body).toMatchObject({ user: { role: 'viewer', email_verified: true } });
    admin = await stage.signIn();
    const again = await stage.ask('POST', users, admin, { email: email.toLowerCase(), role: 'admin' });
    expect(again).toMatchObject({ status: 409, verdict: 'email_taken' });
  });

  it('are added with no other role and no other fields than those of staff', async () => {
    for (const fault of [
      { role: 'provider' },
      { role: 'root' },
      { password: 'cobalt-teapot-17' },
      { status: 'active' },
    ]) {
      const answer = await stage.ask('POST', users, admin, { email: 'x@example.com', role: 'viewer', ...fault });
      expect(answer).toMatchObject({ status: 400, verdict: 'validation_failed' });
    }
    expect(await stage.mailsTo('x@example.com')).toEqual([]);
  });

  it('are added and promoted with a fresh second factor only', async () => {
    const stale = await stage.signIn({ mfaAt: new Date(stage.now().getTime() - 16 * 60_000) });
    const draft = { email: 'y@example.com', role: 'viewer' };
    expect((await stage.ask('POST', users, stale, draft)).verdict).toBe('mfa_stale');
    expect((await setRole(admin.userId, 'viewer', stale)).verdict).toBe('mfa_stale');
  });
});

describe('a role', () => {
  it('counts from the next request on, and is audited with what it was', async () => {
    const who = await stage.signIn({ role: 'viewer', mfaAt: stage.now() });
    expect((await stage.ask('GET', '/staff', who)).verdict).toBe('missing_permission');
    expect((await setRole(who.userId, 'admin')).body).toMatchObject({ role: 'admin', changed: true });
    expect((await stage.ask('GET', '/staff', who)).status).toBe(200);
    expect((await setRole(who.userId, 'admin')).body).toMatchObject({ changed: false });
    const { rows } = await stage.world.db.query(
      sql`select actor, action, details from ops.audit_log where target_id = ${who.userId}`,
    );
    expect(rows).toEqual([
      { actor: admin.userId, action: 'user.role_changed', details: { from: 'viewer', to: 'admin' } },
    ]);
  });

  it('of the last active admin stays, also when all admins take each other’s at once', async () => {
    expect(await setRole(admin.userId, 'viewer')).toMatchObject({ status: 409, verdict: 'last_admin' });
    const others = await Promise.all([1, 2, 3].map(() => stage.signIn()));
    const all = [admin, ...others];
    const answers = await Promise.all(
      all.map((who, n) => setRole((all[(n + 1) % all.length] ?? who).userId, 'viewer', who)),
    );
    expect(await activeAdmins()).toBe(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
  });

  it('of a provider cannot be changed, nor given', async () => {
    const who = await stage.signIn({ role: 'provider' });
    expect(await setRole(who.userId, 'admin')).toMatchObject({ status: 409, verdict: 'invalid_state' });
    expect((await setRole(admin.userId, 'provider')).status).toBe(400);
    expect(await setRole(randomUUID(), 'viewer')).toMatchObject({ status: 404, verdict: 'not_found' });
  });
});

describe('a disabled user', () => {
  it('is out at once, with sessions, tokens and provider, and in again after a new sign-in', async () => {
    const who = await stage.signIn({ role: 'viewer', mfaAt: stage.now() });
    const draft = { name: 'x', scopes: ['dlq.read'], expires_in_days: 1 };
    const { body } = await stage.ask('POST', '/auth/tokens', who, draft);
    const machine = { headers: { authorization: `Bearer ${String(body.token)}` } };
    expect((await act('disable', who.userId)).body).toMatchObject({ status: 'disabled', changed: true });
    expect(await isIn(who)).toBe(false);
    expect((await stage.ask('GET', '/staff', machine)).verdict).toBe('token_invalid');
    expect((await act('disable', who.userId)).body).toMatchObject({ changed: false });
    expect((await act('enable', who.userId)).body).toMatchObject({ status: 'active', changed: true });
    expect(await isIn(who)).toBe(false);
    expect((await stage.ask('GET', '/staff', machine)).verdict).toBe('token_invalid');
    expect(await stage.audited(who.userId)).toEqual(['user.disabled', 'user.enabled']);
    expect(stage.providers.slice(-2)).toEqual([`suspend ${who.userId}`, `reinstate ${who.userId}`]);
  });

  it('is never oneself, nor the last active admin, also when two disable each other at once', async () => {
    expect(await act('disable', admin.userId)).toMatchObject({ status: 409, verdict: 'own_account' });
    const other = await stage.signIn();
    const answers = await Promise.all([act('disable', other.userId), act('disable', admin.userId, other)]);
    expect(await activeAdmins()).toBe(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('needs a memo, and a user there is', async () => {
    const who = await stage.signIn({ role: 'viewer' });
    for (const name of ['disable', 'enable', 'revoke-sessions']) {
      expect((await act(name, who.userId, admin, { memo: 'short' })).status).toBe(400);
      expect((await act(name, who.userId, admin, {})).status).toBe(400);
      expect((await act(name, randomUUID())).status).toBe(404);
      expect((await act(name, 'nonsense')).status).toBe(400);
    }
    expect(await isIn(who)).toBe(true);
  });
});

it('the sessions of a user end, and their account stays', async () => {
  const who = await stage.signIn({ role: 'viewer' });
  expect((await act('revoke-sessions', who.userId)).body).toEqual({ revoked: 1 });
  expect(await isIn(who)).toBe(false);
  expect((await act('revoke-sessions', who.userId)).body).toEqual({ revoked: 0 });
  const { rows } = await stage.world.db.query(
    sql`select reason, details from ops.audit_log where target_id = ${who.userId} order by seq limit 1`,
  );
  expect(rows).toEqual([{ reason: memo, details: { sessions: 1 } }]);
});
