import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type AuthStage, openAuthStage, password } from '../testing/sign-in.ts';

let stage: AuthStage;
let url: string;
const home = mkdtempSync(join(tmpdir(), 'fmhl-login-'));
beforeAll(async () => {
  stage = await openAuthStage();
  url = await stage.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await stage?.close();
  rmSync(home, { recursive: true });
});

const program = fileURLToPath(new URL('../../bin/fmhl.mjs', import.meta.url));

/** The command, fed through a pipe. */
function fmhl(args: string[], env: Record<string, string> = {}) {
  const { PATH } = process.env;
  const child = spawn(process.execPath, [program, ...args], { env: { PATH, HOME: home, FMHL_URL: url, ...env } });
  const written = { out: '', err: '' };
  child.stdout.on('data', (text) => void (written.out += text));
  child.stderr.on('data', (text) => void (written.err += text));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return {
    written,
    ended,
    say: (...lines: string[]) => child.stdin.write(`${lines.join('\n')}\n`),
    over: () => child.stdin.end(),
  };
}

async function login(...lines: string[]) {
  const running = fmhl(['login']);
  running.say(...lines);
  running.over();
  return { code: await running.ended, ...running.written };
}

const savedToken = () => JSON.parse(readFileSync(join(home, '.config', 'fmhl', 'token'), 'utf8')).token as string;
const staffVerdict = async () => (await stage.get('/staff', savedToken())).verdict;

describe('fmhl login', () => {
  it('sets up the second factor of staff who have none', async () => {
    await stage.addUser('new@example.com');
    const running = fmhl(['login']);
    running.say('new@example.com', password);
    const secret = await vi.waitFor(() => {
      const [, shown] = /secret {2}(\S+)\n {2}link {4}otpauth:\/\//.exec(running.written.err) ?? [];
      if (shown === undefined) throw new Error(running.written.err);
      return shown;
    }, 20_000);
    running.say(stage.code(secret));
    running.over();
    expect(await running.ended).toBe(0);
    expect(running.written.err.match(/^ {2}\w{5}-\w{5}-\w{5}$/gm)).toHaveLength(10);
    expect(running.written.err).toContain('Signed in as Ada Roofing until');
    expect(running.written.err + running.written.out).not.toContain(savedToken());
    expect(await staffVerdict()).toBe('ok');
  }, 60_000);

  it('takes a code or a recovery code from a pipe', async () => {
    await stage.addUser('piped@example.com');
    const { secret, recoveryCodes } = await stage.enrol('piped@example.com');
    for (const shown of [stage.code(secret), recoveryCodes[0] ?? '']) {
      expect(await login('piped@example.com', password, shown)).toMatchObject({ code: 0 });
      expect(await staffVerdict()).toBe('ok');
    }
  }, 60_000);

  it('says what was wrong', async () => {
    await stage.addUser('wrong@example.com');
    await stage.enrol('wrong@example.com');
    const faults = [
      [['wrong@example.com', 'not-the-password'], 'e-mail or password is wrong'],
      [['wrong@example.com', password, '000000'], 'the code is wrong, or was used before: wait for the next one'],
      [['wrong@example.com', password], 'there was no answer'],
    ] as const;
    for (const [lines, said] of faults)
      expect(await login(...lines)).toMatchObject({ code: 1, err: `fmhl: ${said}\n` });
  }, 60_000);

  it('asks providers for no code', async () => {
    await stage.addUser('provider@example.com', 'provider');
    expect(await login('provider@example.com', password)).toMatchObject({ code: 0 });
  }, 30_000);
});

describe('fmhl totp', () => {
  const secret = 'gezd gnbv gy3t qojq gezd gnbv gy3t qojq';

  it('prints the code of a secret on standard input or in the setting, and new secrets', async () => {
    const piped = fmhl(['totp']);
    piped.say(secret);
    piped.over();
    const set = fmhl(['totp'], { FMHL_ADMIN_TOTP_SECRET: secret });
    const made = fmhl(['totp', '--new']);
    expect(await Promise.all([piped.ended, set.ended, made.ended])).toEqual([0, 0, 0]);
    for (const { written } of [piped, set]) expect(written.out).toMatch(/^\d{6}\n$/);
    expect(made.written.out).toMatch(/^[A-Z2-7]{32}\n$/);
  }, 60_000);

  it('does not repeat what is no secret', async () => {
    const running = fmhl(['totp']);
    running.say('hunter2');
    running.over();
    expect(await running.ended).toBe(1);
    expect(running.written.err).toMatch(/^fmhl: standard input: expected 16 to 64 bytes in base32/);
    expect(running.written.err).not.toContain('hunter2');
  }, 30_000);
});
