import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { sql } from '@fmhl/ops';
import { createTestDatabase } from '@fmhl/ops/testing';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createTotpSecret, factorsOf, makeRecoveryCodes, provisionTotp } from '../features/second-factor/index.ts';
import { signInAs, testKeys } from '../testing/auth.ts';
import { openTestWorld, type TestWorld } from '../testing/world.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());

const program = fileURLToPath(new URL('../../bin/fmhl.mjs', import.meta.url));

const createAdmin = (email: string, env?: Record<string, string>) => fmhlUser(['create-admin', email], env);

function fmhlUser(args: readonly string[], env: Record<string, string> = {}) {
  const { PATH } = process.env;
  return new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [program, 'user', ...args],
      { env: { PATH, DATABASE_URL: world.url, ...env } },
      (_error, out, err) => resolve({ code: child.exitCode, out, err: err.trim() }),
    );
  });
}

describe('fmhl user create-admin', () => {
  it('adds an administrator, and later others: the way back for who lost the password of the first', async () => {
    const first = await createAdmin('first@example.com');
    expect(first).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^first@example\.com can sign in with the password \S{23} \(shown once\)\n$/),
    });
    const second = await createAdmin('second@example.com', { FMHL_ADMIN_PASSWORD: 'tangerine-lamp-42' });
    expect(second).toEqual({ code: 0, out: 'second@example.com can sign in\n', err: '' });
    expect(await createAdmin('First@example.com')).toEqual({
      code: 1,
      out: '',
      err: 'fmhl: First@example.com has an account already: name another address',
    });
    const { rows } = await world.db.query(sql`
      select u.email, a.via, a.action from identity.users u join ops.audit_log a on a.target_id = u.id::text order by u.email`);
    expect(rows).toEqual(
      ['first@example.com', 'second@example.com'].map((email) => ({ email, via: 'cli-local', action: 'user.created' })),
    );
  }, 30_000);

  it('gives them a second factor from the setting, sealed under the key of the product', async () => {
    const FMHL_ADMIN_TOTP_SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
    expect(await createAdmin('third@example.com', { FMHL_ADMIN_TOTP_SECRET })).toEqual({
      code: 1,
      out: '',
      err: 'fmhl: TOKEN_KEY: required with FMHL_ADMIN_TOTP_SECRET',
    });
    const env = { FMHL_ADMIN_TOTP_SECRET, TOKEN_KEY: 'ab'.repeat(32) };
    expect(await createAdmin('third@example.com', env)).toMatchObject({ code: 0 });
    const { rows } = await world.db.query(sql`
      select u.email, t.confirmed_at is not null as counts, t.secret_sealed from identity.totp_secret t
      join identity.users u on u.id = t.user_id`);
    expect(rows).toEqual([{ email: 'third@example.com', counts: true, secret_sealed: expect.any(String) }]);
    expect(JSON.stringify(rows)).not.toContain(FMHL_ADMIN_TOTP_SECRET);
  }, 30_000);

  it('names its argument when that is no address', async () => {
    const bad = await createAdmin('nobody');
    expect(bad).toMatchObject({ code: 2, err: expect.stringContaining("argument 'email'") });
    expect(bad.err).not.toContain('FMHL_ADMIN_EMAIL');
    expect(bad.err.split('\n')).toHaveLength(1);
  }, 30_000);

  it('asks for the migrations first', async () => {
    const empty = await createTestDatabase({ adminUrl: inject('databaseUrl') });
    expect(await createAdmin('root@example.com', { DATABASE_URL: empty.url })).toEqual({
      code: 1,
      out: '',
      err: 'fmhl: the database is not at the version of this program: run `fmhl migrate` first',
    });
    await empty.drop();
  }, 30_000);
});

describe('fmhl user reset-second-factor', () => {
  it('takes away every factor, ends the sessions, tells the owner and writes down who did it and why', async () => {
    const { db } = world;
    const { userId, email } = await signInAs(db, { role: 'viewer' });
    const of = { userId, secret: createTotpSecret(), now: new Date() };
    await db.transaction(async (tx) => {
      await provisionTotp(tx, of, { keys: testKeys });
      await makeRecoveryCodes(tx, userId, { keys: testKeys });
    });
    await db.query(sql`
      insert into identity.passkey (user_id, credential_id, public_key, sign_count, transports, name)
      values (${userId}, ${randomUUID()}, '\\x00', 0, '{}', 'Phone')`);
    expect(await factorsOf(db, userId)).toEqual(['passkey', 'totp', 'recovery_code']);
    expect(await fmhlUser(['reset-second-factor', email.toUpperCase(), '--reason', 'lost the phone'])).toEqual({
      code: 0,
      out: `${email.toUpperCase()} has no second factor any more (totp, passkey); 1 sessions ended\n`,
      err: '',
    });
    expect(await factorsOf(db, userId)).toEqual([]);
    const { rows } = await db.query(sql`
      select via, reason, details from ops.audit_log where action = 'user.second_factor_reset' and target_id = ${userId}`);
    expect(rows).toEqual([
      { via: 'cli-local', reason: 'lost the phone', details: { methods: ['totp', 'passkey'], sessions: 1 } },
    ]);
    const live = await db.query(sql`select from identity.session where user_id = ${userId} and revoked_at is null`);
    expect(live.rows).toEqual([]);
    const mails = await db.query(
      sql`select variables from email where to_address = ${email} order by variables ->> 'method' desc`,
    );
    expect(mails.rows.map(({ variables }) => variables)).toEqual([
      { enabled: false, method: 'totp' },
      { enabled: false, method: 'passkey' },
    ]);
  }, 30_000);

  it('knows who has none, and who is no user', async () => {
    const { email } = await world.make.user();
    expect(await fmhlUser(['reset-second-factor', email])).toEqual({
      code: 0,
      out: `${email} had no second factor; 0 sessions ended\n`,
      err: '',
    });
    expect(await fmhlUser(['reset-second-factor', 'who@example.com'])).toEqual({
      code: 1,
      out: '',
      err: 'fmhl: who@example.com has no account',
    });
  }, 30_000);
});
