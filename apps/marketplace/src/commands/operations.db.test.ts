import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { openTestWorld, type TestWorld } from '../testing/world.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());

const program = fileURLToPath(new URL('../../bin/fmhl.mjs', import.meta.url));

function fmhl(args: readonly string[], env: Record<string, string> = {}) {
  const { PATH } = process.env;
  return new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      [program, ...args],
      { env: { PATH, HOME: tmpdir(), ...env } },
      (_error, out, err) => resolve({ code: child.exitCode, out, err: err.trim() }),
    );
  });
}

describe('the operations commands of fmhl', () => {
  it('work on the database itself, and are audited under the name that is given', async () => {
    const servers = { DATABASE_URL: world.url, REDIS_URL: inject('redisUrl') };
    const listed = await fmhl(['queue', 'list', '-q'], servers);
    expect(listed).toEqual({ code: 0, out: 'distribute_lead\nemail_send\nreport_export\nscheduler\n', err: '' });
    const reason = ['--reason', 'the provider is down'];
    const paused = await fmhl(['queue', 'pause', 'email', ...reason, '--as', 'night watch'], servers);
    expect(paused).toEqual({ code: 0, out: 'email is paused\n', err: '' });
    const { rows } = await world.db.query(
      sql`select actor_name, via, reason from ops.audit_log where action = 'queue.paused'`,
    );
    expect(rows).toEqual([{ actor_name: 'night watch', via: 'cli-local', reason: 'the provider is down' }]);
  }, 60_000);

  it('ask what must always be true, of the marketplace and of the plane', async () => {
    const servers = { DATABASE_URL: world.url, REDIS_URL: inject('redisUrl') };
    const asked = await fmhl(['invariants', 'I5', 'M1', 'D1', '--full'], servers);
    expect(asked).toEqual({
      code: 0,
      out: expect.stringMatching(
        /^name .*\nI5 +ok .*\nM1 +ok .*\nD1 +ok .*\n\nOK: 3 of 3 invariants hold, of everything\n$/,
      ),
      err: '',
    });
  }, 60_000);

  it('say what to give where there is nothing to work on, and make nothing', async () => {
    const nowhere = join(tmpdir(), 'fmhl-nowhere');
    expect(await fmhl(['dlq', 'list'], { DATA_DIR: nowhere })).toEqual({
      code: 1,
      out: '',
      err: `fmhl: no fmhl keeps its data in ${nowhere}: give DATA_DIR, or DATABASE_URL and REDIS_URL, or FMHL_URL and FMHL_TOKEN`,
    });
  }, 60_000);

  it('end with 2 for wrong use, as every other does', async () => {
    expect(await fmhl(['dlq', 'lst'])).toMatchObject({
      code: 2,
      err: expect.stringContaining("unknown command 'lst'"),
    });
    expect(await fmhl(['fly'])).toMatchObject({ code: 2 });
  }, 60_000);
});
