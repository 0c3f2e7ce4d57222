import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, fchownSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerUser } from './server-user.ts';

const POLL_MS = 10;

export interface LaunchOptions {
  command: string;
  args: readonly string[];
  /** Emptied at each launch, so that it cannot grow over restarts. */
  logFile: string;
  user?: ServerUser | undefined;
}

/**
 * Starts a server in its own process group, so that Ctrl-C reaches the application first, and with a file as its output, so that
 * the death of the application does not break it in the middle of a write. Resolves to its process id.
 */
export async function launch({ command, args, logFile, user }: LaunchOptions): Promise<number> {
  const log = openSync(logFile, 'w', 0o600);
  if (user) fchownSync(log, user.uid, user.gid);
  const child = spawn(command, args, {
    detached: true,
    stdio: ['ignore', log, log],
    cwd: '/',
    env: { LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin' },
    ...user,
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  child.unref();
  if (child.pid === undefined) throw new Error(`${command} has no process id`);
  return child.pid;
}

/** True while a process works; one that ended and was not yet collected by its parent counts as ended. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return !existsSync('/proc/self/stat');
  }
}

/** True when the process works and was started with this directory among its arguments: process ids are used again. */
export function servesDirectory(pid: number, directory: string): boolean {
  if (!isRunning(pid)) return false;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(directory);
  } catch {
    return commandLineOf(pid).includes(directory);
  }
}

function commandLineOf(pid: number): string {
  try {
    return execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

export interface StopStep {
  signal: NodeJS.Signals;
  waitMs: number;
}

/** Sends each signal in turn until the process has ended. Throws when it outlives the last one. */
export async function stopProcess(pid: number, steps: readonly StopStep[]): Promise<void> {
  for (const { signal, waitMs } of steps) {
    sendSignal(pid, signal);
    if (await settles(() => !isRunning(pid), waitMs)) return;
  }
  throw new Error(`process ${pid} does not end`);
}

export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Polls until the condition holds (true) or the time is over (false). */
export async function settles(condition: () => boolean | Promise<boolean>, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** The end of a server's log, for an error message. */
export function lastLines(logFile: string, count = 8): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '';
  }
}

/** The process id on the first line of a server's own pid file; undefined when there is none. */
export function pidIn(file: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(file, 'utf8'), 10) || undefined;
  } catch {
    return undefined;
  }
}
