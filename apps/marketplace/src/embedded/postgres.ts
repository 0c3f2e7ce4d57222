import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts';
import { leaveSocketDirectory, settleHome, socketDirectory } from './server-home.ts';
import {
  isRunning,
  lastLines,
  launch,
  pidIn,
  sendSignal,
  servesDirectory,
  settles,
  stopProcess,
} from './server-process.ts';
import { type ServerUser, serverUser } from './server-user.ts';

const HALF = 'data.half-';
const READY_WITHIN_MS = 60_000;
/** How long processes of a killed server may hold its shared memory: they see its death within a second. */
const PREDECESSOR_ENDS_WITHIN_MS = 5_000;
const STOP_STEPS = [
  { signal: 'SIGINT', waitMs: 8_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 2_000 },
] as const;

export interface PostgresOptions {
  /** The server's own directory; made when missing. */
  dataDir: string;
  /** False gives up surviving a power cut, not a kill, for speed: tests only. Default true. */
  durable?: boolean;
  /** Listen on this loopback port instead of a private socket, without a password: tests only. */
  port?: number;
  /** Told what takes longer than usual: making the data directory, ending a predecessor. */
  log?: (line: string) => void;
}

export interface EmbeddedPostgres {
  /** Of database `fmhl`, with a superuser of the same name. */
  url: string;
  pid: number;
  /** The real directory of the data: elsewhere than asked where root's data directory is closed to PostgreSQL's user. */
  dataLives: string;
  /** Rolls back what is open, writes all out and ends. */
  stop(): Promise<void>;
  /** Ends it at once, as a crash would. */
  kill(): void;
}

interface Installation {
  binaries: PostgresBinaries;
  user: ServerUser | undefined;
  home: string;
  data: string;
  durable: boolean;
  log: (line: string) => void;
}

/** Starts PostgreSQL on a directory, making the database first where there is none, and ending one which outlived its application. */
export async function startPostgres(options: PostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir, durable = true, port, log = () => {} } = options;
  const user = serverUser(dataDir);
  const home = settleHome(dataDir, user);
  const at: Installation = { binaries: postgresBinaries(user), user, home, data: join(home, 'data'), durable, log };
  if (!existsSync(at.data)) await initialise(at);
  await endPredecessor(at);
  const sockets = socketDirectory(join(home, 'socket'), '.s.PGSQL.65535', user);
  const pid = await startServer(at, serverSettings({ sockets, port, durable }));
  const stop = async () => {
    if (isRunning(pid)) await stopProcess(pid, STOP_STEPS);
    leaveSocketDirectory(sockets, home);
  };
  let stopping: Promise<void> | undefined;
  return {
    url: urlOf(port, sockets),
    pid,
    dataLives: home,
    stop: () => (stopping ??= stop()),
    kill: () => sendSignal(pid, 'SIGKILL'),
  };
}

/** The address of the server that serves this directory now; undefined when none does. */
export function runningPostgres(dataDir: string): string | undefined {
  const data = join(dataDir, 'data');
  const pid = pidIn(pidFile(data));
  if (!pid || !isReady(data, pid) || !servesDirectory(pid, realpathSync(data))) return undefined;
  // The fifth line of the pid file is the directory of its socket.
  const sockets = readFileSync(pidFile(data), 'utf8').split('\n')[4]?.trim();
  return sockets ? urlOf(undefined, sockets) : undefined;
}

function urlOf(port: number | undefined, sockets: string): string {
  if (port !== undefined) return `postgres://fmhl@127.0.0.1:${port}/fmhl`;
  return `postgres://fmhl@localhost/fmhl?host=${encodeURIComponent(sockets)}`;
}

/** Makes the data directory aside and renames it, so that a kill in the middle leaves nothing half made. */
async function initialise({ binaries, user, home, data, durable, log }: Installation): Promise<void> {
  log('making a PostgreSQL data directory');
  removeHalves(home);
  const half = join(home, `${HALF}${randomUUID()}`);
  const run = { ...user, cwd: '/', env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' } };
  const flags = [
    '--locale=C',
    '--encoding=UTF8',
    '--data-checksums',
    '--auth=trust',
    ...(durable ? [] : ['--no-sync']),
  ];
  await promisify(execFile)(binaries.initdb, ['-D', half, '-U', 'fmhl', ...flags], run);
  await new Promise<void>((resolve, reject) => {
    const single = spawn(binaries.postgres, ['--single', '-D', half, '-c', 'exit_on_error=on', 'postgres'], {
      ...run,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    single.once('error', reject);
    single.once('exit', (code) => (code === 0 ? resolve() : reject(new Error('could not make the database fmhl'))));
    single.stdin.end('CREATE DATABASE fmhl\n');
  });
  renameSync(half, data);
}

/** What a kill in the middle left. Its initdb may still be writing there: then this is tried again another time. */
function removeHalves(home: string): void {
  for (const name of readdirSync(home).filter((entry) => entry.startsWith(HALF))) {
    try {
      rmSync(join(home, name), { recursive: true, force: true });
    } catch {}
  }
}

/** A sixteenth of the memory, at most 1 GB: it is taken only as far as data fill it. With 128 MB, a market of 100,000 providers does not fit. */
function sharedBuffersMb(memoryBytes: number): number {
  return Math.min(1_024, Math.max(128, Math.floor(memoryBytes / 2 ** 20 / 16)));
}

function serverSettings(options: { sockets: string; port: number | undefined; durable: boolean }): string[] {
  const { sockets, port, durable } = options;
  const settings: Record<string, string | number> = {
    listen_addresses: port === undefined ? '' : '127.0.0.1',
    port: port ?? 5432,
    unix_socket_directories: sockets,
    unix_socket_permissions: '0700',
    shared_buffers: `${sharedBuffersMb(totalmem())}MB`,
    max_connections: durable ? 100 : 200,
    // A redrive of 100,000 letters writes some 2 GB, most of it pages whole for the first time after a checkpoint: with 1 GB there are four.
    max_wal_size: '4GB',
    jit: 'off',
    // A disk without moving heads. With the default of 4 a small table is read whole where its index would do.
    random_page_cost: 1.1,
    lc_messages: 'C',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // An analysis looks at 7,500 rows in place of 30,000: of growing tables that many every ten seconds took a tenth of what their rows cost.
    default_statistics_target: 25,
    // Until a new table is analysed, statements on it keep the plan they got while it was empty: they read it whole, each time.
    // Databases of tests need not be dropped from a server that goes with them; hundreds stay, too many to look at so often.
    ...(durable ? { autovacuum_naptime: '10s' } : { fsync: 'off', full_page_writes: 'off', 'fmhl.disposable': 'on' }),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function startServer(at: Installation, settings: readonly string[]): Promise<number> {
  const logFile = join(at.home, 'postgres.log');
  const deadline = performance.now() + PREDECESSOR_ENDS_WITHIN_MS;
  for (;;) {
    const pid = await launch({
      command: at.binaries.postgres,
      args: ['-D', at.data, ...settings],
      logFile,
      user: at.user,
    });
    await settles(() => isReady(at.data, pid) || !isRunning(pid), READY_WITHIN_MS);
    if (isReady(at.data, pid) && isRunning(pid)) return pid;
    const said = lastLines(logFile);
    sendSignal(pid, 'SIGQUIT');
    const isHeld = said.includes('pre-existing shared memory') || heldByTheDead(at.data, said);
    if (!isHeld || performance.now() > deadline) throw new Error(`PostgreSQL did not start on ${at.data}:\n${said}`);
    await delay(50);
  }
}

/**
 * PostgreSQL takes a killed predecessor that nobody has collected yet for a live one, and so a foreign process that got its id; it then
 * refuses the lock file of its directory or of its socket. When the process that the file names does not serve this directory, the
 * file may go. PostgreSQL's own check of shared memory still refuses to start beside a server that lives on.
 */
function heldByTheDead(data: string, said: string): boolean {
  const file = /lock file "([^"]+)" already exists/.exec(said)?.[1];
  if (file === undefined) return false;
  const path = resolve(data, file);
  const pid = pidIn(path);
  if (pid && servesDirectory(pid, data)) return false;
  rmSync(path, { force: true });
  return true;
}

const pidFile = (data: string) => join(data, 'postmaster.pid');

/** The server writes its state on the eighth line of its pid file. */
function isReady(data: string, pid: number): boolean {
  if (pidIn(pidFile(data)) !== pid) return false;
  return readFileSync(pidFile(data), 'utf8').split('\n')[7]?.trim() === 'ready';
}

/**
 * Ends a server that outlived its application, and waits until it has ended. The file stays where its process is gone: PostgreSQL itself
 * then checks for survivors. It goes only where the id was given to another program meanwhile, which PostgreSQL would take for its own.
 */
async function endPredecessor({ data, log }: Installation): Promise<void> {
  const pid = pidIn(pidFile(data));
  if (!pid || !isRunning(pid)) return;
  if (servesDirectory(pid, data)) {
    log(`ending a PostgreSQL that outlived its application (pid ${pid})`);
    await stopProcess(pid, STOP_STEPS);
  } else {
    rmSync(pidFile(data));
  }
}
