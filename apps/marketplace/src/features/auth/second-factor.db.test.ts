import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openKeys } from '../../keys.ts';
import { type AuthStage, count, openAuthStage, password } from '../../testing/sign-in.ts';

let stage: AuthStage;
beforeAll(async () => {
  stage = await openAuthStage();
});
afterAll(() => stage?.close());

const challenge = (token: string, proof: object) => stage.post('/auth/mfa/challenge', proof, { token });
const verdictOf = async (token: string, path = '/auth/me') => (await stage.get(path, token)).verdict;
const wrong = { code: '000000' };

describe('staff without a second factor', () => {
  it('reach the routes of sign-in and no others until they have set one up', async () => {
    await stage.addUser('new@example.com');
    const { token, body } = await stage.login('new@example.com');
    expect(body).toMatchObject({ mfa_required: false, user: { role: 'admin' } });
    expect(await verdictOf(token)).toBe('ok');
    expect(await verdictOf(token, '/staff')).toBe('mfa_required');

    const enrolment = await stage.post('/auth/mfa/enroll', undefined, { token });
    expect(enrolment.body).toEqual({
      secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
      otpauth_url: expect.stringMatching(/^otpauth:\/\/totp\/Find%20Me%20a%20Hot%20Lead:new%40example\.com\?secret=/),
    });
    expect((await stage.post('/auth/mfa/verify', wrong, { token })).verdict).toBe('invalid_code');
    expect(await verdictOf(token, '/staff')).toBe('mfa_required');

    const other = await stage.login('new@example.com');
    expect(other.body.mfa_required).toBe(false);
    const verified = await stage.post(
      '/auth/mfa/verify',
      { code: stage.code(String(enrolment.body.secret)) },
      { token },
    );
    expect(verified.body).toMatchObject({ enabled: true, token_type: 'Bearer' });
    expect(new Set(verified.body.recovery_codes as string[]).size).toBe(10);
    expect(await verdictOf(verified.token, '/staff')).toBe('ok');
    expect([await verdictOf(token), await verdictOf(other.token)]).toEqual(['session_expired', 'session_expired']);
    expect((await stage.get('/auth/me', verified.token)).body).toMatchObject({
      session: { mfa: true, mfa_at: stage.now().toISOString() },
    });
  });

  it('must enrol before they verify, and once only', async () => {
    await stage.addUser('order@example.com');
    const { token } = await stage.login('order@example.com');
    expect((await stage.post('/auth/mfa/verify', { code: '123456' }, { token })).verdict).toBe('not_enrolled');
    const { token: full } = await stage.enrol('order@example.com');
    expect((await stage.post('/auth/mfa/enroll', undefined, { token: full })).verdict).toBe('already_enrolled');
    expect((await stage.post('/auth/mfa/verify', wrong, { token: full })).verdict).toBe('already_enrolled');
  });

  it('may begin anew before they have verified; the first secret then counts for nothing', async () => {
    await stage.addUser('again@example.com');
    const { token } = await stage.login('again@example.com');
    const [first, second] = [
      await stage.post('/auth/mfa/enroll', undefined, { token }),
      await stage.post('/auth/mfa/enroll', undefined, { token }),
    ];
    const verify = ({ body }: typeof first) =>
      stage.post('/auth/mfa/verify', { code: stage.code(String(body.secret)) }, { token });
    expect((await verify(first)).verdict).toBe('invalid_code');
    expect((await verify(second)).verdict).toBe('ok');
  });
});

describe('a sign-in with a second factor', () => {
  it('answers a token for five minutes that serves to show it and to sign out', async () => {
    await stage.addUser('pending@example.com');
    await stage.enrol('pending@example.com');
    const { token, body, headers } = await stage.login('pending@example.com');
    expect(body).toMatchObject({ mfa_required: true, methods: ['totp', 'recovery_code'] });
    expect(new Date(String(body.expires_at)).getTime() - stage.now().getTime()).toBe(5 * 60_000);
    expect(String(headers['set-cookie'])).toContain(token);
    for (const path of ['/auth/me', '/staff', '/staff/fresh'])
      expect((await stage.get(path, token)).verdict).toBe('mfa_challenge_required');
    for (const path of ['/auth/mfa/enroll', '/auth/mfa/verify', '/auth/mfa/disable'])
      expect((await stage.post(path, { code: '123456' }, { token })).verdict).toBe('mfa_challenge_required');
    expect((await stage.get('/auth/me', token)).status).toBe(401);
    stage.wait(5.1);
    expect((await challenge(token, wrong)).verdict).toBe('session_expired');
    const second = await stage.login('pending@example.com');
    const full = await stage.login('pending@example.com');
    expect((await stage.post('/auth/logout', { all: true }, { token: second.token })).status).toBe(204);
    expect(await verdictOf(second.token)).toBe('session_expired');
    expect(await verdictOf(full.token)).toBe('mfa_challenge_required');
  });

  it('gives a new token for the code; the one before it is worth nothing', async () => {
    await stage.addUser('fixed@example.com');
    const { secret } = await stage.enrol('fixed@example.com');
    const { token } = await stage.login('fixed@example.com');
    const full = await challenge(token, { code: stage.code(secret) });
    expect(full.token).toMatch(/^[\w-]{43}$/);
    expect(full.token).not.toBe(token);
    expect(String(full.headers['set-cookie'])).toContain(full.token);
    expect([await verdictOf(full.token, '/staff/fresh'), await verdictOf(token)]).toEqual(['ok', 'session_expired']);
    stage.wait(0.5);
    expect((await challenge(token, { code: stage.code(secret) })).verdict).toBe('session_expired');
  });

  it('takes a code half a minute late or early, and none further off', async () => {
    await stage.addUser('clock@example.com');
    const { secret } = await stage.enrol('clock@example.com');
    stage.wait(2);
    const shown = async (steps: number) => {
      const { token } = await stage.login('clock@example.com');
      return (await challenge(token, { code: stage.code(secret, steps) })).verdict;
    };
    expect([await shown(-2), await shown(2)]).toEqual(['invalid_code', 'invalid_code']);
    expect([await shown(-1), await shown(0), await shown(1)]).toEqual(['ok', 'ok', 'ok']);
    expect([await shown(0), await shown(-1)]).toEqual(['invalid_code', 'invalid_code']);
  });

  it('takes a code once, also when it is shown many times at once', async () => {
    await stage.addUser('replay@example.com');
    const { secret } = await stage.enrol('replay@example.com');
    for (let round = 0; round < 5; round += 1) {
      const pending = [];
      for (let n = 0; n < 4; n += 1) pending.push(await stage.login('replay@example.com'));
      const code = stage.code(secret);
      const answers = await Promise.all(pending.map(({ token }) => challenge(token, { code })));
      expect(answers.map(({ verdict }) => verdict).sort()).toEqual([
        'invalid_code',
        'invalid_code',
        'invalid_code',
        'ok',
      ]);
      stage.wait(16);
    }
  });

  it('takes a recovery code in place of it, each once, however it is written', async () => {
    const userId = await stage.addUser('lost@example.com');
    const { recoveryCodes } = await stage.enrol('lost@example.com');
    const [first = '', second = ''] = recoveryCodes;
    const shown = async (code: string) => {
      const { token } = await stage.login('lost@example.com');
      return challenge(token, { recovery_code: code });
    };
    const race = await Promise.all([shown(first), shown(first), shown(first)]);
    expect(race.map(({ verdict }) => verdict).sort()).toEqual(['invalid_code', 'invalid_code', 'ok']);
    const again = await shown(second.toUpperCase().replaceAll('-', ' '));
    expect(await verdictOf(again.token, '/staff')).toBe('ok');
    expect((await shown(first)).verdict).toBe('invalid_code');
    expect(
      await count(
        stage,
        sql`select from ops.audit_log where action = 'auth.recovery_code_used' and target_id = ${userId}`,
      ),
    ).toBe(2);
  });

  it('takes no code of another user', async () => {
    await stage.addUser('mine@example.com');
    await stage.addUser('theirs@example.com');
    await stage.enrol('mine@example.com');
    const theirs = await stage.enrol('theirs@example.com');
    const { token } = await stage.login('mine@example.com');
    expect((await challenge(token, { code: stage.code(theirs.secret) })).verdict).toBe('invalid_code');
    expect((await challenge(token, { recovery_code: theirs.recoveryCodes[0] })).verdict).toBe('invalid_code');
  });

  it.each([
    [{}],
    [{ code: '12345' }],
    [{ code: '１２３４５６' }],
    [{ code: 123456 }],
    [{ code: '123456', recovery_code: 'x'.repeat(15) }],
  ])('refuses %j', async (proof) => {
    const { token } = await stage.login('mine@example.com');
    expect((await challenge(token, proof)).verdict).toBe('validation_failed');
  });

  it('is over after five wrong codes, also when many come at once', async () => {
    await stage.addUser('guess@example.com');
    const { secret } = await stage.enrol('guess@example.com');
    const { token } = await stage.login('guess@example.com');
    const guesses = await Promise.all(Array.from({ length: 30 }, () => challenge(token, wrong)));
    expect(guesses.filter(({ verdict }) => verdict === 'invalid_code')).toHaveLength(5);
    expect((await challenge(token, { code: stage.code(secret) })).verdict).toBe('session_expired');
    const next = await stage.login('guess@example.com');
    const tooSoon = await challenge(next.token, { code: stage.code(secret) });
    expect([tooSoon.status, tooSoon.verdict, tooSoon.headers['retry-after']]).toEqual([429, 'rate_limited', '900']);
    stage.wait(15.1);
    const later = await stage.login('guess@example.com');
    expect((await challenge(later.token, { code: stage.code(secret) })).verdict).toBe('ok');
  });
});

describe('a second factor that was shown a while ago', () => {
  it('is shown again for what asks for a fresh one, in this session only', async () => {
    await stage.addUser('step@example.com');
    const { secret, token: other } = await stage.enrol('step@example.com');
    const login = await stage.login('step@example.com');
    const { token, body } = await challenge(login.token, { code: stage.code(secret) });
    stage.wait(15.1);
    expect([await verdictOf(token, '/staff'), await verdictOf(token, '/staff/fresh')]).toEqual(['ok', 'mfa_stale']);
    const renewed = await challenge(token, { code: stage.code(secret) });
    expect(renewed.body.expires_at).toBe(body.expires_at);
    expect(await verdictOf(renewed.token, '/staff/fresh')).toBe('ok');
    expect([await verdictOf(token), await verdictOf(other, '/staff/fresh')]).toEqual(['session_expired', 'mfa_stale']);
  });

  it('ends the session when the codes are wrong', async () => {
    await stage.addUser('stolen@example.com');
    const { secret, token } = await stage.enrol('stolen@example.com');
    for (let n = 0; n < 5; n += 1) expect((await challenge(token, wrong)).verdict).toBe('invalid_code');
    expect((await challenge(token, { code: stage.code(secret) })).verdict).toBe('session_expired');
  });
});

describe('a second factor sealed under a key that is gone', () => {
  it('is refused like a wrong code, and the log says why', async () => {
    const userId = await stage.addUser('gone@example.com');
    const { secret } = await stage.enrol('gone@example.com');
    const sealed = openKeys({ tokenKey: '9d'.repeat(32) }).seal('totp-secret', secret);
    await stage.world.db.query(
      sql`update identity.totp_secret set secret_sealed = ${sealed} where user_id = ${userId}`,
    );
    const { token } = await stage.login('gone@example.com');
    const { status, verdict } = await challenge(token, { code: stage.code(secret) });
    expect([status, verdict]).toEqual([401, 'invalid_code']);
    const said = stage.world.lines.map((line) => JSON.parse(line));
    expect(said.filter(({ event }) => event === 'second_factor_unreadable')).toMatchObject([
      { metadata: { user_id: userId } },
    ]);
  });
});

describe('turning it off', () => {
  it('has no password compared of who has no try left', async () => {
    await stage.addUser('many@example.com');
    const { token } = await stage.enrol('many@example.com');
    const compared = stage.compared();
    const disable = () => stage.post('/auth/mfa/disable', { password: 'wrong-password', ...wrong }, { token });
    const answers = await Promise.all(Array.from({ length: 20 }, disable));
    expect(answers.filter(({ verdict }) => verdict === 'rate_limited')).toHaveLength(15);
    expect(stage.compared() - compared).toBe(5);
  });

  it('takes the password and a code, ends all other sessions and sends staff back to enrolment', async () => {
    const userId = await stage.addUser('off@example.com');
    const { secret, token: other } = await stage.enrol('off@example.com');
    const login = await stage.login('off@example.com');
    const { token } = await challenge(login.token, { code: stage.code(secret) });
    stage.wait(0.5);
    const disable = (proof: object) => stage.post('/auth/mfa/disable', proof, { token });
    expect((await disable({ password: 'wrong-password', code: stage.code(secret) })).verdict).toBe('invalid_code');
    expect((await disable({ password, ...wrong })).verdict).toBe('invalid_code');
    expect((await disable({ password })).verdict).toBe('validation_failed');
    expect((await disable({ password, code: stage.code(secret) })).body).toEqual({ enabled: false });
    expect([await verdictOf(other), await verdictOf(token)]).toEqual(['session_expired', 'ok']);
    expect(await verdictOf(token, '/staff')).toBe('mfa_required');
    expect((await stage.login('off@example.com')).body.mfa_required).toBe(false);
    expect(await count(stage, sql`select from identity.recovery_code where user_id = ${userId}`)).toBe(0);
    const actions = await stage.world.db.query(sql`
      select action from ops.audit_log where target_id = ${userId} and action like 'auth.second_factor%' order by action desc`);
    expect(actions.rows.map(({ action }) => action)).toEqual([
      'auth.second_factor_enrolled',
      'auth.second_factor_disabled',
    ]);
  });

  it('works with a recovery code for who has lost the app', async () => {
    await stage.addUser('app@example.com');
    const { token, recoveryCodes } = await stage.enrol('app@example.com');
    const answer = await stage.post('/auth/mfa/disable', { password, recovery_code: recoveryCodes[3] }, { token });
    expect(answer.status).toBe(200);
  });
});

it('keeps neither secrets nor codes where a reader of the tables or of the log could use them', async () => {
  const userId = await stage.addUser('quiet@example.com');
  const { secret, recoveryCodes, token } = await stage.enrol('quiet@example.com');
  const { rows } = await stage.world.db.query(sql`
    select t::text as row from identity.totp_secret t union all select r::text from identity.recovery_code r
    union all select a::text from ops.audit_log a union all select s::text from identity.session s`);
  const kept = JSON.stringify(rows) + stage.world.lines.join('');
  expect(kept).toContain(userId);
  for (const canary of [secret, token, ...recoveryCodes, 'quiet@example.com']) expect(kept).not.toContain(canary);
});
