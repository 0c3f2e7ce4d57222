import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { leaveSocketDirectory, privateDirectory, socketDirectory } from './server-home.ts';
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
import { foreignOwner } from './server-user.ts';

const READY_WITHIN_MS = 60_000;
const ANSWERS_WITHIN_MS = 1_000;
const OLDEST = [6, 2] as const;
const SOCKET = 'redis.sock';
const STOP_STEPS = [
  { signal: 'SIGTERM', waitMs: 8_000 },
  { signal: 'SIGKILL', waitMs: 2_000 },
] as const;

export interface RedisOptions {
  /** The server's own directory; made when missing. */
  dataDir: string;
  /** False keeps nothing on disk: tests only. Default true. */
  durable?: boolean;
  /** Listen on this loopback port instead of a private socket, without a password: tests only. */
  port?: number;
  /** Told when a predecessor has to be ended. */
  log?: (line: string) => void;
}

export interface EmbeddedRedis {
  /** The path of a socket, or `redis://…` with a port: the first argument of `new Redis(url, options)` either way. */
  url: string;
  pid: number;
  /** Writes all out and ends. */
  stop(): Promise<void>;
  /** Ends it at once, as a crash would. */
  kill(): void;
}

/** Starts the redis-server or valkey-server found on the PATH on a directory, ending one which outlived its application. */
export async function startRedis(options: RedisOptions): Promise<EmbeddedRedis> {
  const { durable = true, port, log = () => {} } = options;
  const command = findServer();
  const user = foreignOwner(options.dataDir);
  const home = privateDirectory(options.dataDir, user);
  const sockets = socketDirectory(home, SOCKET, user);
  const socket = join(sockets, SOCKET);
  await endPredecessor(home, log);
  rmSync(socket, { force: true });
  const logFile = join(home, 'redis.log');
  const pid = await launch({ command, args: serverArguments({ home, socket, port, durable }), logFile, user });
  const settled = await settles(async () => !isRunning(pid) || (await answers(socket)), READY_WITHIN_MS);
  if (!settled || !isRunning(pid)) {
    sendSignal(pid, 'SIGKILL');
    throw new Error(`Redis did not start on ${home}:\n${lastLines(logFile)}`);
  }
  const stop = async () => {
    if (isRunning(pid)) await stopProcess(pid, STOP_STEPS);
    leaveSocketDirectory(sockets, home);
  };
  let stopping: Promise<void> | undefined;
  return {
    url: port === undefined ? socket : `redis://127.0.0.1:${port}`,
    pid,
    stop: () => (stopping ??= stop()),
    kill: () => sendSignal(pid, 'SIGKILL'),
  };
}

/** The socket of the server that serves this directory now; undefined when none does. */
export async function runningRedis(dataDir: string): Promise<string | undefined> {
  if (!existsSync(dataDir)) return undefined;
  const socket = join(socketDirectory(realpathSync(dataDir), SOCKET, foreignOwner(dataDir)), SOCKET);
  return (await answers(socket)) ? socket : undefined;
}

function serverArguments(options: {
  home: string;
  socket: string;
  port: number | undefined;
  durable: boolean;
}): string[] {
  const { home, socket, port, durable } = options;
  const settings: Record<string, string> = {
    dir: home,
    port: String(port ?? 0),
    bind: '127.0.0.1',
    unixsocket: socket,
    unixsocketperm: '700',
    pidfile: join(home, 'redis.pid'),
    // Keeps the directory readable in the process list: how a predecessor is recognised.
    'set-proc-title': 'no',
    appendonly: durable ? 'yes' : 'no',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
    save: '',
    daemonize: 'no',
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

function findServer(): string {
  const install = process.platform === 'darwin' ? 'brew install redis' : 'apt-get install redis-server';
  const advice = `install one (${install}) or give REDIS_URL`;
  let command: string;
  try {
    const search = 'command -v redis-server || command -v valkey-server';
    command = execFileSync('/bin/sh', ['-c', search], { encoding: 'utf8' }).trim();
  } catch {
    throw new Error(`no redis-server or valkey-server on the PATH: ${advice}`);
  }
  const version = execFileSync(command, ['--version'], { encoding: 'utf8' });
  const [, major = '0', minor = '0'] = /v=(\d+)\.(\d+)/.exec(version) ?? [];
  const [oldMajor, oldMinor] = OLDEST;
  if (Number(major) > oldMajor || (Number(major) === oldMajor && Number(minor) >= oldMinor)) return command;
  throw new Error(`${command} is version ${major}.${minor}, at least ${OLDEST.join('.')} is needed: ${advice}`);
}

/** One PING on a connection of its own; false while the server is not there or still reads its data. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write('PING\r\n'));
    const settle = (alive: boolean) => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(ANSWERS_WITHIN_MS, () => settle(false));
    socket.once('data', (answer) => settle(answer.toString().startsWith('+PONG')));
    socket.once('error', () => settle(false));
  });
}

async function endPredecessor(home: string, log: (line: string) => void): Promise<void> {
  const pid = pidIn(join(home, 'redis.pid'));
  if (!pid || !servesDirectory(pid, home)) return;
  log(`ending a Redis that outlived its application (pid ${pid})`);
  await stopProcess(pid, STOP_STEPS);
}
