import { accessSync, chmodSync, constants, existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type DataLock, lockDataDirectory } from './data-lock.ts';
import { type Mailbox, startMailbox } from './mailbox.ts';
import { runningPostgres, startPostgres } from './postgres.ts';
import { runningRedis, startRedis } from './redis.ts';

export { type MailBehaviour, type MailMode, mailModes } from './mail-behaviour.ts';
export { type Mail, type Mailbox, type MailboxOptions, startMailbox } from './mailbox.ts';
export { type EmbeddedPostgres, type PostgresOptions, startPostgres } from './postgres.ts';
export { type EmbeddedRedis, type RedisOptions, startRedis } from './redis.ts';
export { leaveSocketDirectory, socketDirectory } from './server-home.ts';
export { readKey as madeTokenKey, tokenKey } from './token-key.ts';

export interface EmbeddedOptions {
  /** Made when missing. */
  dataDir: string;
  /** Each one given replaces its embedded server. */
  databaseUrl?: string | undefined;
  redisUrl?: string | undefined;
  smtpUrl?: string | undefined;
  log?: (line: string) => void;
}

export interface Embedded {
  databaseUrl: string;
  redisUrl: string;
  smtpUrl: string;
  /** Undefined when mail goes to an SMTP server given from outside. */
  mailbox: Mailbox | undefined;
  /** Takes Redis away, and brings it back with what it held; undefined when it was given from outside. */
  switchRedis: ((on: boolean) => Promise<void>) | undefined;
  /** Where the data really is, for people. */
  dataLives: string;
  /** Ends what was started here, and frees the data directory. Safe twice. */
  stop(): Promise<void>;
}

export type Servers = Pick<Embedded, 'databaseUrl' | 'redisUrl' | 'stop'>;

/**
 * Postgres and Redis for one command: what was given, else those of a running `fmhl up` on this data directory, which go on after it,
 * else those of the directory, started for the time of the command. Throws when there is no such directory: a look must not make one.
 */
export async function findServers(options: Omit<EmbeddedOptions, 'smtpUrl'>): Promise<Servers> {
  const { dataDir } = options;
  const databaseUrl = options.databaseUrl ?? runningPostgres(join(dataDir, 'postgres'));
  const redisUrl = options.redisUrl ?? (await runningRedis(join(dataDir, 'redis')));
  if (databaseUrl && redisUrl) return { databaseUrl, redisUrl, stop: async () => {} };
  if (!existsSync(dataDir)) {
    throw new Error(
      `no fmhl keeps its data in ${dataDir}: give DATA_DIR, or DATABASE_URL and REDIS_URL, or FMHL_URL and FMHL_TOKEN`,
    );
  }
  return startEmbedded({ ...options, databaseUrl, redisUrl, smtpUrl: 'unused' });
}

/** Starts the servers that were not given from outside. When one fails, those already up are ended and its error is thrown. */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { databaseUrl, redisUrl, smtpUrl, log } = options;
  const dataDir = openDataDirectory(options.dataDir);
  const lock = databaseUrl && redisUrl && smtpUrl ? undefined : lockDataDirectory(dataDir);
  const postgres = databaseUrl ? undefined : startPostgres({ dataDir: join(dataDir, 'postgres'), log });
  const redis = redisUrl ? undefined : startSwitchable(() => startRedis({ dataDir: join(dataDir, 'redis'), log }));
  const mailbox = smtpUrl ? undefined : startMailbox({ dataDir });
  const stop = stopOnce([postgres, redis, mailbox], lock);
  try {
    const [database, cache, mail] = await Promise.all([postgres, redis, mailbox]);
    return {
      databaseUrl: databaseUrl ?? database?.url ?? '',
      redisUrl: redisUrl ?? cache?.url ?? '',
      smtpUrl: smtpUrl ?? mail?.smtpUrl ?? '',
      mailbox: mail,
      switchRedis: cache?.set,
      dataLives: whereDataLives(dataDir, database?.dataLives),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Open for passing, not for reading: PostgreSQL's user must get to its own directory below. */
function openDataDirectory(path: string): string {
  try {
    if (makeDirectory(resolve(path))) chmodSync(path, 0o711);
    if (!statSync(path).isDirectory()) throw new Error('it is a file');
    accessSync(path, constants.W_OK);
    return realpathSync(path);
  } catch (error) {
    throw new Error(`DATA_DIR: expected a directory this user can write in (${(error as Error).message})`);
  }
}

/** Makes a directory and those above it, and answers whether it was missing. Node's own recursive form never returns below /proc. */
function makeDirectory(path: string): boolean {
  if (existsSync(path)) return false;
  makeDirectory(dirname(path));
  mkdirSync(path);
  return true;
}

function whereDataLives(dataDir: string, postgres: string | undefined): string {
  return !postgres || postgres.startsWith(`${dataDir}/`) ? dataDir : `${dataDir}, its database in ${postgres}`;
}

/** A server that can be taken away for a while; it comes back under the same address. */
async function startSwitchable<Server extends { url: string; stop(): Promise<void> }>(start: () => Promise<Server>) {
  const first = await start();
  let running: Server | undefined = first;
  const stop = async () => {
    await running?.stop();
    running = undefined;
  };
  return { url: first.url, stop, set: async (on: boolean) => (on ? void (running ??= await start()) : stop()) };
}

type Starting = Promise<{ stop(): Promise<void> }>;

function stopOnce(starting: readonly (Starting | undefined)[], lock: DataLock | undefined): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    const servers = await Promise.allSettled(starting.filter((server) => server !== undefined));
    const started = servers.filter((server) => server.status === 'fulfilled');
    const ends = await Promise.allSettled(started.map(({ value }) => value.stop()));
    lock?.release();
    const failure = ends.find((end) => end.status === 'rejected');
    if (failure) throw failure.reason;
  };
  return () => (stopping ??= stop());
}
