import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readConfig } from '../../config.ts';
import type { Mail } from '../../embedded/index.ts';
import { type Controlled, controlSocket, openControl, type Switches } from './control.ts';
import { connectControl } from './control-client.ts';
import { openDemoGround } from './open-demo-ground.ts';

function openStage() {
  const dataDir = mkdtempSync(join(tmpdir(), 'fmhl-control-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true }));
  const thrown: Switches[] = [];
  const listeners = new Set<(mail: Mail) => void>();
  const controlled: Controlled = {
    standing: () => ({
      url: 'http://127.0.0.1:3000',
      smtp_url: 'smtp://127.0.0.1:25',
      deposit_mode: 'instant',
      smtp: 'ok',
      worker: thrown.every(({ worker }) => worker !== false),
      scheduler: true,
      redis: true,
    }),
    async throwSwitches(given) {
      thrown.push(given);
    },
    onMail(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return { dataDir, thrown, listeners, controlled, control: openControl(dataDir, controlled) };
}

describe('the control of a demo', () => {
  it('throws switches and tells how the product stands', async () => {
    const { dataDir, thrown, control } = openStage();
    await control.start();
    const client = await connectControl(dataDir);
    expect(await client.set({ worker: false })).toMatchObject({ worker: false, scheduler: true });
    expect(thrown).toEqual([{ worker: false }]);
    await control.stop();
  });

  it('is a socket that its owner alone may open, and gone after the stop', async () => {
    const { dataDir, control } = openStage();
    await control.start();
    const mode = statSync(controlSocket(dataDir)).mode;
    expect((mode & 0o777).toString(8)).toBe('600');
    await control.stop();
    expect(existsSync(controlSocket(dataDir))).toBe(false);
    await expect(connectControl(dataDir)).rejects.toThrow(`no demo runs on ${dataDir}`);
  });

  it('works where the path is too long for a socket, and leaves nothing elsewhere', async () => {
    const { dataDir: parent, controlled } = openStage();
    const dataDir = join(parent, 'a'.repeat(120));
    mkdirSync(dataDir);
    const control = openControl(dataDir, controlled);
    await control.start();
    expect(controlSocket(dataDir).startsWith(dataDir)).toBe(false);
    expect((await connectControl(dataDir)).standing).toBeTypeOf('function');
    const elsewhere = dirname(controlSocket(dataDir));
    await control.stop();
    expect(existsSync(elsewhere)).toBe(false);
  });

  it('refuses a switch that does not exist', async () => {
    const { dataDir, thrown, control } = openStage();
    await control.start();
    const client = await connectControl(dataDir);
    await expect(client.set({ postgres: false } as Switches)).rejects.toThrow('400');
    expect(thrown).toEqual([]);
    await control.stop();
  });

  it('tells of mails as they come, until the listener leaves', async () => {
    const { dataDir, listeners, control } = openStage();
    await control.start();
    const client = await connectControl(dataDir);
    const { promise: heard, resolve } = Promise.withResolvers<string>();
    const stop = await client.onMail(({ to }) => resolve(to));
    for (const listener of listeners) listener({ to: 'a@example.com' } as Mail);
    expect(await heard).toBe('a@example.com');
    stop();
    await expect.poll(() => listeners.size).toBe(0);
    await control.stop();
  });

  it('is looked for without making a directory, and never in production', async () => {
    const dataDir = join(tmpdir(), 'fmhl-not-there');
    await expect(connectControl(dataDir)).rejects.toThrow(`no demo runs on ${dataDir}`);
    expect(existsSync(dataDir)).toBe(false);
    const production = { ...readConfig({}), nodeEnv: 'production' } as const;
    await expect(openDemoGround(production)).rejects.toThrow('NODE_ENV: ');
  });
});
