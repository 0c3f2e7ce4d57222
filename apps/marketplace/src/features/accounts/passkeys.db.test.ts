import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TestSignIn } from '../../testing/auth.ts';
import type { Authenticator, Ceremony } from '../../testing/authenticator.ts';
import { type AccountStage, openAccountStage, password } from './accounts.fixture.ts';

let stage: AccountStage;
beforeAll(async () => {
  stage = await openAccountStage();
});
afterAll(() => stage?.close());

type Options = { challenge: string; rpId?: string; user?: { id: string } };
const optionsFor = async (who: TestSignIn) =>
  (await stage.ask('POST', '/auth/passkeys/options', who)).body as unknown as Options;
const signInOptions = async () => (await stage.ask('POST', '/auth/login/passkey/options')).body as unknown as Options;
const add = (who: TestSignIn, credential: object) =>
  stage.ask('POST', '/auth/passkeys', who, { name: 'My key', credential });
const show = (credential: object) => stage.ask('POST', '/auth/login/passkey', undefined, { credential });

async function enrolled(who: TestSignIn): Promise<{ key: Authenticator; id: string }> {
  const key = stage.openAuthenticator();
  const { status, body } = await add(who, key.create(await optionsFor(who)));
  expect(status).toBe(201);
  return { key, id: String(body.id) };
}
const signInWith = async (key: Authenticator, ceremony?: Ceremony) => show(key.get(await signInOptions(), ceremony));
const bearer = (token: unknown) => ({ headers: { authorization: `Bearer ${String(token)}` } });

describe('a passkey', () => {
  it('signs its user in alone, with both factors shown', async () => {
    const who = await stage.signIn({ role: 'viewer' });
    const { key, id } = await enrolled(who);
    const { status, body } = await signInWith(key);
    expect([status, body]).toMatchObject([
      200,
      { token_type: 'Bearer', mfa_required: false, user: { id: who.userId } },
    ]);
    const me = await stage.ask('GET', '/auth/me', bearer(body.token));
    expect(me.body).toMatchObject({ user: { email: who.email }, session: { mfa: true } });
    expect(await stage.audited(who.userId)).toEqual(['auth.second_factor_enrolled', 'auth.signed_in']);
    const list = await stage.ask('GET', '/auth/passkeys', bearer(body.token));
    expect(list.body).toMatchObject({ items: [{ id, name: 'My key' }] });
    expect((list.body.items as { last_used_at: string }[])[0]?.last_used_at).toMatch(/^\d{4}/);
  });

  it('is asked for by what the browser needs, and tells the server nothing of the user', async () => {
    const who = await stage.signIn({ role: 'viewer' });
    expect(await optionsFor(who)).toMatchObject({
      rp: { id: 'leads.example.com' },
      user: { name: who.email },
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      attestation: 'none',
      excludeCredentials: [],
    });
    const asked = await signInOptions();
    expect(asked).toMatchObject({ rpId: 'leads.example.com', userVerification: 'required' });
    expect(asked).not.toHaveProperty('allowCredentials.0');
  });

  it('ends the other sessions of who had no second factor', async () => {
    const who = await stage.signIn({ role: 'provider' });
    await stage.world.db.query(sql`
      insert into identity.session (user_id, token_sha256, idle_expires_at, expires_at)
      values (${who.userId}, sha256('other'), now() + interval '1 year', now() + interval '1 year')`);
    await enrolled(who);
    expect((await stage.ask('GET', '/auth/sessions', who)).body.items).toHaveLength(1);
  });

  it('is a second factor after the password', async () => {
    const email = 'two@example.com';
    await stage.ask('POST', '/auth/register', undefined, { email, password, company: 'Two' });
    const first = await stage.ask('POST', '/auth/login', undefined, { email, password });
    const who = bearer(first.body.token) as TestSignIn;
    const { key } = await enrolled(who);
    const other = await enrolled(await stage.signIn({ role: 'viewer' }));
    const login = await stage.ask('POST', '/auth/login', undefined, { email, password });
    expect(login.body).toMatchObject({ mfa_required: true, methods: ['passkey'] });
    const pending = bearer(login.body.token);
    const challenge = async (shown: Authenticator) =>
      stage.ask('POST', '/auth/mfa/challenge', pending, { passkey: shown.get(await signInOptions()) });
    expect(await challenge(other.key)).toMatchObject({ status: 401, verdict: 'invalid_code' });
    const full = await challenge(key);
    expect(full.status).toBe(200);
    const me = await stage.ask('GET', '/auth/me', bearer(full.body.token));
    expect(me.body).toMatchObject({ session: { mfa: true } });
    expect((await stage.ask('GET', '/auth/sessions', pending)).status).toBe(401);
  });

  it('makes the second factor of a session fresh again', async () => {
    const who = await stage.signIn();
    const { key } = await enrolled(who);
    stage.wait(16);
    expect((await stage.ask('GET', '/staff/fresh', who)).verdict).toBe('mfa_stale');
    const passkey = key.get(await signInOptions());
    const renewed = await stage.ask('POST', '/auth/mfa/challenge', who, { passkey });
    expect((await stage.ask('GET', '/staff/fresh', bearer(renewed.body.token))).status).toBe(200);
    expect((await stage.ask('GET', '/staff', who)).verdict).toBe('session_expired');
  });

  it('tells its owner by mail when it comes and goes', async () => {
    const who = await stage.signIn({ role: 'viewer' });
    const { id } = await enrolled(who);
    await stage.ask('DELETE', `/auth/passkeys/${id}`, who);
    expect(await stage.mailsTo(who.email)).toEqual(['mfa_changed', 'mfa_changed']);
  });

  it('is added and removed by who has shown a second factor of late, if there is one', async () => {
    const who = await stage.signIn({ role: 'viewer' });
    const { id } = await enrolled(who);
    stage.wait(16);
    expect((await stage.ask('POST', '/auth/passkeys/options', who)).verdict).toBe('mfa_stale');
    expect((await stage.ask('DELETE', `/auth/passkeys/${id}`, who)).verdict).toBe('mfa_stale');
    const never = await stage.signIn({ role: 'provider' });
    const { key, id: theirs } = await enrolled(never);
    expect((await stage.ask('POST', '/auth/passkeys/options', never)).verdict).toBe('mfa_required');
    expect((await stage.ask('DELETE', `/auth/passkeys/${theirs}`, never)).verdict).toBe('mfa_required');
    const fresh = bearer((await signInWith(key)).body.token);
    expect((await stage.ask('DELETE', `/auth/passkeys/${id}`, fresh)).status).toBe(404);
    expect((await stage.ask('DELETE', `/auth/passkeys/${theirs}`, fresh)).status).toBe(204);
    expect(await signInWith(key)).toMatchObject({ status: 401, verdict: 'passkey_refused' });
    expect((await stage.audited(never.userId)).at(-1)).toBe('auth.second_factor_disabled');
  });
});

describe('two first passkeys at the same time', () => {
  it('are one: the other needs that one shown', async () => {
    const who = await stage.signIn({ role: 'provider' });
    const made = [await optionsFor(who), await optionsFor(who)].map((options) =>
      stage.openAuthenticator().create(options),
    );
    const { db } = stage.world;
    const waiting = async () => {
      const { rows } = await db.query(sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);
      return rows.length;
    };
    let answers: ReturnType<typeof add>[] = [];
    await db.transaction(async (tx) => {
      await tx.query(sql`select from identity.users where id = ${who.userId} for update`);
      answers = made.map((credential) => add(who, credential));
      await vi.waitFor(async () => expect(await waiting()).toBe(2), { timeout: 5_000, interval: 20 });
    });
    const verdicts = (await Promise.all(answers)).map(({ verdict }) => verdict);
    expect(verdicts.sort()).toEqual(['mfa_required', 'ok']);
  });
});

describe('a passkey that is made', () => {
  it.each<[string, Ceremony]>([
    ['on another site', { origin: 'https://evil.example' }],
    ['for another site', { rpId: 'evil.example' }],
    ['without verifying its user', { verifiesUser: false }],
  ])('%s is refused, and its challenge is used up', async (_what, ceremony) => {
    const who = await stage.signIn({ role: 'viewer' });
    const options = await optionsFor(who);
    const key = stage.openAuthenticator();
    expect(await add(who, key.create(options, ceremony))).toMatchObject({ status: 400, verdict: 'validation_failed' });
    expect((await add(who, key.create(options))).status).toBe(400);
    expect((await stage.ask('GET', '/auth/passkeys', who)).body).toEqual({ items: [] });
  });

  it('needs a challenge of ours, for this user, for this, not used, of the last five minutes', async () => {
    const [who, other] = [await stage.signIn({ role: 'viewer' }), await stage.signIn({ role: 'viewer' })];
    const key = stage.openAuthenticator();
    expect((await add(who, key.create({ challenge: 'A'.repeat(43) }))).status).toBe(400);
    expect((await add(who, key.create(await optionsFor(other)))).status).toBe(400);
    expect((await add(who, key.create(await signInOptions()))).status).toBe(400);
    const options = await optionsFor(who);
    stage.wait(5.1);
    expect((await add(who, key.create(options))).status).toBe(400);
    const good = await optionsFor(who);
    expect((await add(who, key.create(good))).status).toBe(201);
    expect((await add(who, stage.openAuthenticator().create(good))).status).toBe(400);
  });

  it('twice is refused, also for another user', async () => {
    const [who, other] = [await stage.signIn({ role: 'viewer' }), await stage.signIn({ role: 'viewer' })];
    const { key } = await enrolled(who);
    expect(await add(other, key.create(await optionsFor(other)))).toMatchObject({
      status: 409,
      verdict: 'already_enrolled',
    });
  });

  it.each([
    ['nothing', {}],
    ['rubbish', { response: { clientDataJSON: 'e30', attestationObject: 'AAAA' } }],
    ['text that is not base64url', { id: '<script>' }],
  ])('of %s is refused', async (_what, fault) => {
    const who = await stage.signIn({ role: 'viewer' });
    const credential = { ...stage.openAuthenticator().create(await optionsFor(who)), ...fault };
    const sent = Object.keys(fault).length === 0 ? {} : credential;
    expect(await add(who, sent)).toMatchObject({ status: 400, verdict: 'validation_failed' });
  });
});

describe('a passkey that is shown', () => {
  it.each<[string, Ceremony]>([
    ['on another site', { origin: 'https://evil.example' }],
    ['for another site', { rpId: 'evil.example' }],
    ['without verifying its user', { verifiesUser: false }],
    ['with a count that goes back', { signCount: 1 }],
    ['with the count of before', { signCount: 3 }],
    ['for another user', { userHandle: 'AAAA' }],
  ])('%s is refused', async (_what, ceremony) => {
    const { key } = await enrolled(await stage.signIn({ role: 'viewer' }));
    expect((await signInWith(key, { signCount: 3 })).status).toBe(200);
    expect(await signInWith(key, ceremony)).toMatchObject({ status: 401, verdict: 'passkey_refused' });
    expect((await signInWith(key, { signCount: 4 })).status).toBe(200);
  });

  it('twice counts once, also when both come at the same time', async () => {
    const { key } = await enrolled(await stage.signIn({ role: 'viewer' }));
    const shown = key.get(await signInOptions());
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => show(shown)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await show(shown)).verdict).toBe('passkey_refused');
  });

  it('of one count with two challenges at the same time is taken once: one of them is a copy', async () => {
    const { key } = await enrolled(await stage.signIn({ role: 'viewer' }));
    const shown = [await signInOptions(), await signInOptions()].map((options) => key.get(options, { signCount: 9 }));
    const answers = await Promise.all(shown.map(show));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('and never counts may be shown again and again, each time for a new challenge', async () => {
    const who = await stage.signIn({ role: 'viewer' });
    const key = stage.openAuthenticator();
    await add(who, key.create(await optionsFor(who), { signCount: 0 }));
    for (const _time of [1, 2]) expect((await signInWith(key, { signCount: 0 })).status).toBe(200);
  });

  it('after five minutes, with a changed signature, by a stranger or a disabled user is refused', async () => {
    const who = await stage.signIn({ role: 'viewer' });
    const { key } = await enrolled(who);
    const old = key.get(await signInOptions());
    stage.wait(5.1);
    expect((await show(old)).verdict).toBe('passkey_refused');
    const changed = key.get(await signInOptions());
    const signature = Buffer.from(changed.response.signature, 'base64url');
    signature[10] = (signature[10] ?? 0) ^ 1;
    changed.response.signature = signature.toString('base64url');
    expect((await show(changed)).verdict).toBe('passkey_refused');
    expect((await signInWith(stage.openAuthenticator())).verdict).toBe('passkey_refused');
    await stage.world.db.query(sql`update identity.users set status = 'disabled' where id = ${who.userId}`);
    expect((await signInWith(key)).verdict).toBe('passkey_refused');
    expect(await stage.audited(who.userId)).toContain('auth.sign_in_refused');
  });
});

describe('passkeys that strangers make up', () => {
  beforeEach(() => stage.wait(16));
  const refusals = async () => {
    const { rows } = await stage.world.db.query(
      sql`select target_id from ops.audit_log where action = 'auth.sign_in_refused'`,
    );
    return rows.length;
  };
  const inLog = () => stage.world.lines.filter((line) => JSON.parse(line).event === 'sign_in_refused').length;

  it('leave nothing in the audit log, which keeps all, but a line in the log', async () => {
    const [audited, logged] = [await refusals(), inLog()];
    for (const _time of [1, 2, 3])
      expect((await signInWith(stage.openAuthenticator())).verdict).toBe('passkey_refused');
    expect([(await refusals()) - audited, inLog() - logged]).toEqual([0, 3]);
    const { key } = await enrolled(await stage.signIn({ role: 'viewer' }));
    expect((await signInWith(key, { origin: 'https://evil.example' })).verdict).toBe('passkey_refused');
    expect((await refusals()) - audited).toBe(1);
  });

  it('are not looked at beyond fifty from one address, nor beyond five of one passkey', async () => {
    const { key } = await enrolled(await stage.signIn({ role: 'viewer' }));
    const verdicts = [];
    for (let n = 0; n < 6; n += 1) verdicts.push((await signInWith(key, { verifiesUser: false })).verdict);
    expect(verdicts).toEqual([...Array(5).fill('passkey_refused'), 'rate_limited']);
    stage.wait(16);
    for (let n = 0; n < 50; n += 1)
      expect((await signInWith(stage.openAuthenticator())).verdict).toBe('passkey_refused');
    expect(await signInWith(key)).toMatchObject({ status: 429, verdict: 'rate_limited' });
    stage.wait(16);
    expect((await signInWith(key)).status).toBe(200);
  });
});
