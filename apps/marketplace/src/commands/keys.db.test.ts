import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTotpSecret, provisionTotp, totpCode, verifyTotp } from '../features/second-factor/index.ts';
import { openKeys } from '../keys.ts';
import { openTestWorld, type TestWorld } from '../testing/world.ts';

const [oldKey, newKey] = ['a1'.repeat(32), 'b2'.repeat(32)];
const program = fileURLToPath(new URL('../cli.ts', import.meta.url));
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

  it('prints keys of 32 bytes, another each time, and needs no server for that', async () => {
    const [one, other] = await Promise.all([fmhl(['keys', 'new'], {}), fmhl(['keys', 'new'], {})]);
    expect(one).toMatch(/^[0-9a-f]{64}\n$/);
    expect(one).not.toBe(other);
  });

  it('says which keys it needs', async () => {
    await expect(fmhl(['keys', 'reseal'], { TOKEN_KEY: newKey })).rejects.toThrow('TOKEN_KEY_PREVIOUS: required');
  });
});
