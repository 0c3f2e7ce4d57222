import { execFile } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { audit, sql, systemActor } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTotpSecret, provisionTotp, totpCode, verifyTotp } from '../features/second-factor/index.ts';
import { auditPurpose, openKeys } from '../keys.ts';
import { openTestWorld, type TestWorld } from '../testing/world.ts';

const [oldKey, newKey] = ['a1'.repeat(32), 'b2'.repeat(32)];
const program = fileURLToPath(new URL('../../bin/fmhl.mjs', import.meta.url));
let world: TestWorld;
beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());

async function fmhl(args: readonly string[], env: Record<string, string>) {
  const { PATH } = process.env;
  const given = { PATH, DATABASE_URL: world.url, ...env };
  return (await promisify(execFile)(process.execPath, [program, ...args], { env: given })).stdout;
}

const change = { TOKEN_KEY: newKey, TOKEN_KEY_PREVIOUS: oldKey };

describe('fmhl keys', () => {
  it('seals second factors anew, so that they work without the previous key', async () => {
    const { id: userId } = await world.make.user();
    const secret = createTotpSecret();
    const now = new Date();
    const keys = openKeys({ tokenKey: oldKey });
    await world.db.transaction((tx) => provisionTotp(tx, { userId, secret, now }, { keys }));
    expect(await fmhl(['keys', 'reseal'], change)).toBe('sealed 1 secrets of second factors anew\n');
    expect(await fmhl(['keys', 'reseal'], change)).toBe('sealed 0 secrets of second factors anew\n');
    const code = totpCode(secret, now);
    const later = { keys: openKeys({ tokenKey: newKey }), log: world.log };
    await world.db.transaction((tx) => verifyTotp(tx, { userId, code, now }, later));
    const { rows } = await world.db.query(
      sql`select last_used_step from identity.totp_secret where user_id = ${userId}`,
    );
    expect(rows[0]?.last_used_step).toBeGreaterThan(0);
  });

  /** A link as the scheduler of an installation with the old key leaves it. */
  const linkUnderOldKey = async () => {
    const [{ id, key } = { id: '', key: '' }] = openKeys({ tokenKey: oldKey }).derive(auditPurpose);
    const hash = randomBytes(32);
    const entry = { actor: systemActor, action: 'thing.changed', targetType: 'thing', targetId: '1' };
    await world.db.transaction((tx) => audit(tx, entry));
    await world.db.query(sql`
      with linked as (delete from ops.audit_pending where seq = (select max(seq) from ops.audit_pending) returning seq)
      insert into ops.audit_chain (n, seq, hash, seal, key_id)
      select coalesce((select max(n) from ops.audit_chain), 0) + 1, seq, ${hash}, ${createHmac('sha256', key).update(hash).digest()}, ${id}
      from linked`);
  };
  const newestLink = async () =>
    (
      await world.db.query<{ key_id: string; via: string; action: string; reason: string | null }>(sql`
        select key_id, via, action, reason from ops.audit_chain join ops.audit_log using (seq) order by n desc limit 1`)
    ).rows[0];
  const newId = openKeys({ tokenKey: newKey }).derive(auditPurpose)[0]?.id;

  it('goes on with the audit log under the new key at once, although nothing else is done meanwhile', async () => {
    await linkUnderOldKey();
    expect(await fmhl(['keys', 'reseal'], change)).toContain('the audit log goes on under the new key\n');
    expect(await newestLink()).toMatchObject({ key_id: newId, via: 'cli-local', action: 'keys.changed' });
    expect(await fmhl(['keys', 'reseal'], change)).not.toContain('audit log');
  });

  it('adopts an audit log whose key was stolen, for a reason that is kept', async () => {
    await linkUnderOldKey();
    const given = { TOKEN_KEY: newKey };
    await expect(fmhl(['keys', 'adopt'], given)).rejects.toThrow('--reason');
    expect(await fmhl(['keys', 'adopt', '--reason', 'stolen'], given)).toMatch(
      /goes on under the new key after number \d+\n/,
    );
    expect(await newestLink()).toEqual({ key_id: newId, via: 'cli-local', action: 'keys.adopted', reason: 'stolen' });
    expect(await fmhl(['keys', 'adopt', '--reason', 'again'], given)).toContain('nothing to adopt');
  });

  it('prints keys of 32 bytes, another each time, and needs no server for that', async () => {
    const [one, other] = await Promise.all([fmhl(['keys', 'new'], {}), fmhl(['keys', 'new'], {})]);
    expect(one).toMatch(/^[0-9a-f]{64}\n$/);
    expect(one).not.toBe(other);
  });

  it('says which keys it needs', async () => {
    await expect(fmhl(['keys', 'reseal'], { TOKEN_KEY: newKey })).rejects.toThrow('TOKEN_KEY_PREVIOUS: required');
  });
});
