import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestWorld, type TestWorld } from '../testing/world.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());

const program = fileURLToPath(new URL('../../bin/fmhl.mjs', import.meta.url));

function fmhlSeed(args: readonly string[], env: Record<string, string> = {}) {
  const { PATH } = process.env;
  return new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [program, 'seed', ...args],
      { env: { PATH, DATABASE_URL: world.url, ...env } },
      (_error, out, err) => resolve({ code: child.exitCode, out, err }),
    );
  });
}

describe('fmhl seed', () => {
  it('refuses production, and what it cannot read', async () => {
    const production = { NODE_ENV: 'production', DEPOSIT_MODE: 'instant', AUDIT_ANCHOR: 'none' };
    expect(await fmhlSeed([], production)).toEqual({
      code: 1,
      out: '',
      err: 'fmhl: seed: a made-up market has no place in production (NODE_ENV)\n',
    });
    const [days, profile] = await Promise.all([fmhlSeed(['--days', '91']), fmhlSeed(['--profile', 'XL'])]);
    expect(days).toMatchObject({ code: 2, err: expect.stringContaining('expected a whole number from 1 to 90') });
    expect(profile).toMatchObject({ code: 2, err: expect.stringContaining('Allowed choices are S, M, L') });
    expect((await world.db.query(sql`select from provider`)).rowCount).toBe(0);
  });

  it('fills an empty database and says what it made, and who can sign in, in 80 columns', async () => {
    const { code, out, err } = await fmhlSeed(['--days', '7']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^7 days of profile S from seed 42, in \d+\.\d s\n {2}niche +5\n {2}provider +50\n/);
    expect(out).toMatch(/every provider signs in with the password \S{23} \(shown once\)\nsuch as \S+@example\.com\n$/);
    expect(out.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect((await world.db.query(sql`select from lead where created_at > now() - interval '8 days'`)).rowCount).toBe(
      300,
    );
  });

  it('does not mix with what is there, and says what would do', async () => {
    expect(await fmhlSeed(['--json'])).toEqual({
      code: 1,
      out: '',
      err: [
        'fmhl: seed: the database holds niches and providers and leads, and a made-up market is not mixed with others',
        'fmhl: seed: give an empty database (DATABASE_URL), or another directory (DATA_DIR)\n',
      ].join('\n'),
    });
  });

  it('gives programs one JSON object', async () => {
    const empty = await openTestWorld();
    const { code, out } = await fmhlSeed(['--json', '--seed', '7'], { DATABASE_URL: empty.url });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ profile: 'S', seed: 7, days: 30, rows: { lead: 300, provider: 50 } });
    await empty.close();
  });
});
