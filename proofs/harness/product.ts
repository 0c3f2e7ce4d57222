import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sendSignal } from '../../apps/marketplace/src/embedded/server-process.ts';
import { settings } from '../../apps/marketplace/src/settings.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The command itself, without npm around it: the program and its first arguments. */
export const fmhl = [process.execPath, join(root, 'apps', 'marketplace', 'bin', 'fmhl.mjs')] as const;

/** How a program ended, and how long after it was asked to, or started. */
export interface End {
  readonly code: number | null;
  readonly ms: number;
}

/** A program as a stranger runs it, in a process group of its own. */
export interface Running {
  readonly pid: number;
  /** All it wrote so far. */
  readonly out: string;
  readonly err: string;
  readonly ended: Promise<End>;
  /** Resolves with the ms since the start once `text` was written; rejects with what was written when it ends before. */
  says(text: string, withinMs?: number): Promise<number>;
  /** Sends a signal to the program, or as a terminal does to its whole group, and waits for the end. */
  stop(signal: 'SIGTERM' | 'SIGINT', to?: 'program' | 'group'): Promise<End>;
  /** Kills what is left of it, itself and all that it started. */
  killAll(): Promise<void>;
}

/** The settings of the product which this shell happens to have would change what is proved. */
const ours = new Set<string>([...Object.values(settings).map(({ env }) => env), 'npm_lifecycle_event']);

export function environment(given: Readonly<Record<string, string>>): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([name]) => !ours.has(name));
  return { ...Object.fromEntries(inherited), ...given };
}

export function launch(command: readonly string[], given: Readonly<Record<string, string>> = {}): Running {
  const [program = '', ...args] = command;
  const startedAt = performance.now();
  const child = spawn(program, args, {
    cwd: root,
    env: environment(given),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program} did not start`);
  const written = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => void (written.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (written.err += text));
  const ended = endOf(child, startedAt);
  let isOver = false;
  void ended.then(() => (isOver = true));
  return {
    pid,
    ended,
    get out() {
      return written.out;
    },
    get err() {
      return written.err;
    },
    async says(text, withinMs = 60_000) {
      const said = () => `${written.out}${written.err}`.includes(text);
      await pollUntil(() => said() || isOver, { deadlineMs: withinMs, everyMs: 5 });
      if (!said()) throw new Error(`ended before it said "${text}":\n${written.err}${written.out}`.slice(0, 2_000));
      return performance.now() - startedAt;
    },
    async stop(signal, to = 'program') {
      const askedAt = performance.now();
      process.kill(to === 'group' ? -pid : pid, signal);
      const { code } = await ended;
      return { code, ms: performance.now() - askedAt };
    },
    async killAll() {
      for (const each of [pid, ...descendantsOf(pid)]) sendSignal(each, 'SIGKILL');
      await ended;
    },
  };
}

async function endOf(child: ChildProcess, startedAt: number): Promise<End> {
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ms: performance.now() - startedAt };
}

/** Runs a program to its end. */
export async function runToEnd(command: readonly string[], given: Readonly<Record<string, string>> = {}) {
  const running = launch(command, given);
  const late = setTimeout(() => void running.killAll(), 60_000);
  const { code, ms } = await running.ended;
  clearTimeout(late);
  return { code, ms, out: running.out, err: running.err };
}

/** Every process that this one started, directly or not, whatever group it is in. */
export function descendantsOf(pid: number): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  const pairs = table.map((line) => line.trim().split(/\s+/).map(Number));
  const below = (parent: number): number[] =>
    pairs.flatMap(([child = 0, itsParent]) => (itsParent === parent ? [child, ...below(child)] : []));
  return below(pid);
}

export async function freePort(): Promise<number> {
  const { port, release } = await takePort();
  await release();
  return port;
}

/** A port that somebody else has, until released. */
export async function takePort(): Promise<{ port: number; release: () => Promise<void> }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || !address) throw new Error('no port');
  const release = async () => {
    server.close();
    await once(server, 'close');
  };
  return { port: address.port, release };
}
