import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { actingAs } from '../../apps/marketplace/src/database-roles.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { freePort } from './product.ts';

export type Role = 'api' | 'worker' | 'relay' | 'scheduler';

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly at: number;
}

/** One process of one role. */
export interface Member {
  readonly role: Role;
  readonly pid: number;
  /** As `FAILPOINT` names it. */
  readonly failpoint: string | undefined;
  /** What it wrote, oldest first. */
  readonly lines: readonly string[];
  readonly end: End | undefined;
  readonly ended: Promise<End>;
  /** Resolves when it works; rejects when it ended before. */
  readonly ready: Promise<void>;
  /** Whether the log says that the failpoint was reached. */
  readonly hit: boolean;
  kill(): void;
}

/** The processes of one system. Only these are ever killed, each by its own id. */
export interface Fleet {
  readonly members: readonly Member[];
  readonly apiUrl: string;
  /** Asked to stop: nobody follows who ends now. */
  readonly isEnding: boolean;
  /** `also` is added to the settings of this one process. */
  start(role: Role, failpoint?: string, also?: Readonly<Record<string, string>>): Member;
  /** Starts a process, and an unarmed successor each time one of them dies. */
  keep(role: Role, failpoint?: string): void;
  /** Those that still run. */
  living(role: Role): Member[];
  /** Asks all to stop, workers first; answers how many did not end with code 0 in time. */
  stop(): Promise<number>;
  /** Kills what still runs. */
  close(): Promise<void>;
}

const marketplace = fileURLToPath(new URL('../../apps/marketplace/bin/fmhl.mjs', import.meta.url));
/** Ends a process whose harness was killed outright. */
const guard = fileURLToPath(new URL('../../scripts/parent-guard.mjs', import.meta.url));
const readyWithinMs = 60_000;
const stopsWithinMs = 15_000;

/** Runs roles of a program, `run <role>`, as processes of their own, with `settings` as their whole environment. */
export async function openFleet(settings: Readonly<Record<string, string>>, program = marketplace): Promise<Fleet> {
  return new RoleFleet(settings, program, await freePort());
}

class RoleFleet implements Fleet {
  readonly members: Member[] = [];
  readonly apiUrl: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #program: string;
  isEnding = false;

  constructor(settings: Readonly<Record<string, string>>, program: string, port: number) {
    this.#program = program;
    this.apiUrl = `http://127.0.0.1:${port}`;
    this.#settings = { ...settings, PORT: String(port), METRICS_PORT: '0' };
  }

  start(role: Role, failpoint?: string, also: Readonly<Record<string, string>> = {}) {
    const env = { ...this.#settings, ...also, ...this.#rights(role), ...(failpoint && { FAILPOINT: failpoint }) };
    const isReady = role === 'api' ? () => answers(this.apiUrl) : undefined;
    const member = launch(this.#program, role, { env, isReady });
    this.members.push(member);
    return member;
  }

  /** The product has in Postgres what its role needs and no more, as in production. */
  #rights(role: Role): Record<string, string> {
    const { DATABASE_URL: url } = this.#settings;
    return this.#program === marketplace && url ? { DATABASE_URL: actingAs(url, `fmhl_${role}`) } : {};
  }

  keep(role: Role, failpoint?: string) {
    const member = this.start(role, failpoint);
    void member.ended.then(() => {
      if (!this.isEnding) this.keep(role);
    });
  }

  living(role: Role) {
    return this.members.filter((one) => one.role === role && !one.end);
  }

  async stop() {
    this.isEnding = true;
    let unclean = 0;
    for (const role of ['worker', 'scheduler', 'relay', 'api'] as const) {
      const ends = await Promise.all(this.living(role).map(stopOne));
      unclean += ends.filter((isClean) => !isClean).length;
    }
    return unclean;
  }

  async close() {
    this.isEnding = true;
    for (const member of this.members) member.kill();
    await Promise.all(this.members.map(({ ended }) => ended));
  }
}

interface Launch {
  readonly env: Record<string, string>;
  /** Default: it says so in its log. */
  readonly isReady: (() => Promise<boolean>) | undefined;
}

function launch(program: string, role: Role, { env, isReady }: Launch): Member {
  const child = spawn(process.execPath, ['--import', guard, program, 'run', role], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`the role ${role} did not start`);
  const lines = readLines(child);
  let end: End | undefined;
  const ended = new Promise<End>((resolve) => {
    child.once('close', (code, signal) => {
      end = { code, signal, at: performance.now() };
      resolve(end);
    });
  });
  const works = isReady ?? (() => says(lines, role === 'worker' ? 'worker_started' : 'process_started'));
  const ready = pollUntil(() => end !== undefined || works(), { deadlineMs: readyWithinMs }).then(() => {
    // An armed one may be killed at its first work, which shows that it had begun.
    if (end && end.signal !== 'SIGKILL') throw new Error(`${role} ended at once: ${lines.slice(-3).join(' ')}`);
  });
  ready.catch(() => {});
  return {
    role,
    pid,
    lines,
    ended,
    ready,
    failpoint: env.FAILPOINT,
    get end() {
      return end;
    },
    get hit() {
      return says(lines, 'failpoint_hit');
    },
    kill: () => void (end ?? child.kill('SIGKILL')),
  };
}

function readLines(child: ChildProcess): string[] {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', (line) => lines.push(line));
  }
  return lines;
}

function says(lines: readonly string[], event: string): boolean {
  return lines.some((line) => line.includes(`"event":"${event}"`));
}

async function answers(apiUrl: string): Promise<boolean> {
  return (await fetch(`${apiUrl}/health/live`)).ok;
}

async function stopOne(member: Member): Promise<boolean> {
  await member.ready.catch(() => {});
  if (!member.end) process.kill(member.pid, 'SIGTERM');
  const late = setTimeout(() => member.kill(), stopsWithinMs);
  const { code } = await member.ended;
  clearTimeout(late);
  return code === 0;
}
