import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { testKeys } from '../../testing/auth.ts';
import { type AuthStage, openAuthStage, password } from '../../testing/sign-in.ts';
import { createFirstAdmin, openPasswords } from './index.ts';

let stage: AuthStage;
beforeAll(async () => {
  stage = await openAuthStage();
});
afterAll(() => stage?.close());
beforeEach(async () => {
  await stage.world.db.query(sql`delete from identity.users`);
  stage.wait(16);
});

const email = 'root@example.com';
const given = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';

function start(totpSecret?: string) {
  const passwords = openPasswords({ memoryKib: 64, passes: 1 });
  const deps = { passwords, keys: testKeys, log: stage.world.log, now: stage.now };
  return createFirstAdmin(stage.world.db, { email, password, totpSecret }, deps);
}

async function signIn(secret: string): Promise<string> {
  const { token, body } = await stage.login(email);
  expect(body).toMatchObject({ mfa_required: true, methods: expect.arrayContaining(['totp']) });
  const answer = await stage.post('/auth/mfa/challenge', { code: stage.code(secret) }, { token });
  return answer.verdict === 'ok' ? (await stage.get('/staff', answer.token)).verdict : answer.verdict;
}

it('signs in with the secret that was given, without enrolling one', async () => {
  expect(await start(given)).toEqual({ created: true });
  expect(await signIn(given)).toBe('ok');
});

it('gets the secret at a later start, and whoever was in without it is out', async () => {
  await start();
  const { token } = await stage.login(email);
  expect(await start(given)).toEqual({ created: false });
  expect((await stage.get('/auth/me', token)).verdict).toBe('session_expired');
  expect(await signIn(given)).toBe('ok');
  stage.wait(1);
  const again = await stage.login(email);
  await start(given);
  expect((await stage.get('/auth/me', again.token)).verdict).toBe('mfa_challenge_required');
});

it('keeps the second factor that they have', async () => {
  await start();
  const { secret, token } = await stage.enrol(email);
  await start(given);
  expect((await stage.get('/staff', token)).verdict).toBe('ok');
  expect([await signIn(given), await signIn(secret)]).toEqual(['invalid_code', 'ok']);
});
