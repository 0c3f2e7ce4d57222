import { sql } from '@fmhl/ops';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AuthStage, count, openAuthStage, password } from '../../testing/sign-in.ts';
import { removeOldSignIns } from './index.ts';

let stage: AuthStage;
beforeAll(async () => {
  stage = await openAuthStage();
});
afterAll(() => stage?.close());
beforeEach(() => stage.wait(16));
afterEach(async () => void (await stage.world.db.query(sql`delete from identity.login_failure`)));

let accounts = 0;
const newUser = async () => {
  accounts += 1;
  const email = `user-${accounts}@example.com`;
  return { email, userId: await stage.addUser(email, 'provider') };
};
const attempt = (email: string, { password: tried = 'wrong-password', ip = '192.0.2.1' } = {}) =>
  stage.post('/auth/login', { email, password: tried }, { ip });
const verdictsOf = (answers: readonly { verdict: string }[]) =>
  Object.fromEntries(
    Map.groupBy(answers, ({ verdict }) => verdict)
      .entries()
      .map(([verdict, all]) => [verdict, all.length]),
  );

describe('an account', () => {
  it.each([
    ['that exists', true],
    ['that does not exist', false],
  ])('%s takes five wrong passwords, then none for 15 minutes', async (_what, isThere) => {
    const email = isThere ? (await newUser()).email : 'nobody@example.com';
    for (let n = 0; n < 5; n += 1) expect((await attempt(email)).verdict).toBe('invalid_credentials');
    const compared = stage.compared();
    const sixth = await attempt(email.toUpperCase(), { password });
    expect([sixth.status, sixth.verdict, sixth.headers['retry-after']]).toEqual([429, 'rate_limited', '900']);
    expect(stage.compared()).toBe(compared);
    stage.wait(15.1);
    expect((await attempt(email, { password })).verdict).toBe(isThere ? 'ok' : 'invalid_credentials');
  });

  it('takes no more when they come at once, from fifty addresses', async () => {
    const { email } = await newUser();
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => attempt(email, { ip: `198.51.100.${n}` })));
    expect(verdictsOf(answers)).toEqual({ invalid_credentials: 5, rate_limited: 45 });
  });

  it('is forgiven by a sign-in', async () => {
    const { email } = await newUser();
    for (let round = 0; round < 3; round += 1) {
      for (let n = 0; n < 4; n += 1) await attempt(email);
      expect((await attempt(email, { password })).verdict).toBe('ok');
    }
  });

  it('is not forgiven by a right password whose second factor is not shown', async () => {
    const { email } = await newUser();
    const { secret } = await stage.enrol(email);
    for (let n = 0; n < 3; n += 1) await attempt(email);
    expect((await attempt(email, { password })).verdict).toBe('ok');
    expect((await attempt(email)).verdict).toBe('invalid_credentials');
    const { token } = await attempt(email, { password });
    expect([(await attempt(email)).verdict, (await attempt(email)).verdict]).toEqual([
      'invalid_credentials',
      'rate_limited',
    ]);
    expect((await stage.post('/auth/mfa/challenge', { code: stage.code(secret) }, { token })).verdict).toBe('ok');
    expect((await attempt(email, { password })).verdict).toBe('ok');
  });

  it('still takes the second factor of who is in, whatever strangers guess', async () => {
    const { email } = await newUser();
    const { secret, token } = await stage.enrol(email);
    for (let n = 0; n < 6; n += 1) await attempt(email);
    expect((await stage.post('/auth/mfa/challenge', { code: stage.code(secret) }, { token })).verdict).toBe('ok');
  });
});

describe('an address', () => {
  it('has fifty failures, over all accounts; others sign in meanwhile', async () => {
    const { email } = await newUser();
    const tries = Array.from({ length: 60 }, (_, n) => () => attempt(`guess-${n}@example.com`));
    const answers = [];
    for (const one of tries) answers.push(await one());
    expect(verdictsOf(answers)).toEqual({ invalid_credentials: 50, rate_limited: 10 });
    expect((await attempt(email, { password })).verdict).toBe('rate_limited');
    expect((await attempt(email, { password, ip: '192.0.2.2' })).verdict).toBe('ok');
  });

  it('of IPv6 is a whole network', async () => {
    const addresses = Array.from({ length: 55 }, (_, n) => `2001:db8:7:7::${n + 1}`);
    const answers = [];
    for (const [n, ip] of addresses.entries()) answers.push(await attempt(`six-${n}@example.com`, { ip }));
    expect(verdictsOf(answers)).toEqual({ invalid_credentials: 50, rate_limited: 5 });
  });
});

describe('all together', () => {
  it('have two thousand failures', async () => {
    const { email } = await newUser();
    await stage.world.db.query(sql`
      insert into identity.login_failure (account_key, ip, at)
      select 'account ' || n, 'address ' || n, ${stage.now()} from generate_series(1, 2000) n`);
    expect((await attempt(email, { password })).verdict).toBe('rate_limited');
  });
});

describe('a refused sign-in', () => {
  it('says and does the same for an unknown, a disabled and a wrong one', async () => {
    const [known, disabled] = [await newUser(), await newUser()];
    await stage.world.db.query(sql`update identity.users set status = 'disabled' where id = ${disabled.userId}`);
    const tries = [
      { email: 'who@example.com', password, reason: 'unknown_user', target: 'unknown' },
      { email: disabled.email, password, reason: 'disabled', target: disabled.userId },
      { email: known.email, password: 'wrong-password', reason: 'wrong_password', target: known.userId },
    ];
    const bodies = [];
    for (const { reason, target, ...credentials } of tries) {
      const compared = stage.compared();
      const { body, headers } = await stage.post('/auth/login', credentials);
      expect([stage.compared() - compared, headers['set-cookie']]).toEqual([1, undefined]);
      bodies.push({ ...body, correlation_id: '' });
      expect(
        await count(
          stage,
          sql`select from ops.audit_log where action = 'auth.sign_in_refused' and target_id = ${target} and details ->> 'reason' = ${reason}`,
        ),
      ).toBeGreaterThan(0);
    }
    expect(bodies[1]).toEqual(bodies[0]);
    expect(bodies[2]).toEqual(bodies[0]);
  });

  it('is found out without hashing when the password cannot be one', async () => {
    const { email } = await newUser();
    const compared = stage.compared();
    const verdict = async (tried: string) => (await attempt(email, { password: tried })).verdict;
    expect(await verdict(`${password}\u0000`)).toBe('invalid_credentials');
    expect(await verdict('😀'.repeat(400))).toBe('invalid_credentials');
    expect(await verdict('x'.repeat(2_000))).toBe('validation_failed');
    expect(['validation_failed', 'too_large']).toContain(await verdict('x'.repeat(1_048_576)));
    expect(stage.compared()).toBe(compared);
  });

  it('leaves no address in the table of failures', async () => {
    const { email } = await newUser();
    await attempt(email);
    const { rows } = await stage.world.db.query(sql`select f::text as row from identity.login_failure f`);
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain('example.com');
  });
});

it('lets nobody in while attempts cannot be counted', async () => {
  const { email } = await newUser();
  await stage.world.db.query(sql`alter table identity.login_failure rename to login_failure_away`);
  try {
    const { status, body } = await attempt(email, { password });
    expect(status).toBeGreaterThanOrEqual(500);
    expect(body.token).toBeUndefined();
  } finally {
    await stage.world.db.query(sql`alter table identity.login_failure_away rename to login_failure`);
  }
});

describe('what is old', () => {
  const remove = () => removeOldSignIns(stage.world.db, { now: stage.now(), limit: 2 });

  it('is removed some at a time: failures after a day', async () => {
    await stage.world.db.query(sql`
      insert into identity.login_failure (account_key, ip, at)
      select 'account', 'address', ${stage.now()}::timestamptz - interval '25 hours' + n * interval '1 hour' from generate_series(0, 4) n`);
    expect(await remove()).toEqual({ sessions: 0, failures: 1 });
    stage.wait(6 * 60);
    const failures = [await remove(), await remove(), await remove()];
    expect(failures.map((removed) => removed.failures)).toEqual([2, 2, 0]);
  });

  it('is removed: sessions a week after their end', async () => {
    const { email } = await newUser();
    const { token } = await attempt(email, { password });
    stage.wait(7 * 24 * 60 + 1);
    expect((await stage.get('/auth/me', token)).verdict).toBe('session_expired');
    stage.wait(7 * 24 * 60);
    const sessions = async () => count(stage, sql`select from identity.session where expires_at < ${stage.now()}`);
    while ((await remove()).sessions > 0);
    expect(await sessions()).toBe(0);
    expect((await stage.get('/auth/me', token)).verdict).toBe('token_invalid');
  });
});
