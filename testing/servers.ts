import { chmodSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startPostgres } from '../apps/marketplace/src/embedded/postgres.ts';
import { startRedis } from '../apps/marketplace/src/embedded/redis.ts';
import { isRunning, pidIn, sendSignal, servesDirectory } from '../apps/marketplace/src/embedded/server-process.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A database whose user may make others. */
    databaseUrl: string;
    redisUrl: string;
    /** Letters of the tests of plans. */
    planLetters: number;
  }
}

const PREFIX = 'fmhl-test-';

/**
 * One PostgreSQL and one Redis for a whole run, in a temporary directory named by this process. `TEST_DATABASE_URL` and `TEST_REDIS_URL`
 * name servers to use in their place, and are set for the worker processes otherwise. `PLAN_LETTERS` is how many dead letters the tests of
 * plans make, a multiple of 200,000.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  clearDeadRuns();
  const directory = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  // PostgreSQL's own user has to pass when the tests run as root.
  chmodSync(directory, 0o711);
  const given = { database: process.env.TEST_DATABASE_URL, redis: process.env.TEST_REDIS_URL };
  const options = { durable: false } as const;
  const postgres = given.database ? undefined : startPostgres({ ...options, dataDir: join(directory, 'postgres') });
  const redis = given.redis ? undefined : startRedis({ ...options, dataDir: join(directory, 'redis') });
  const [database, cache] = await Promise.all([postgres, redis]);
  const abandon = () => {
    database?.kill();
    cache?.kill();
    removeRun(directory);
  };
  process.once('exit', abandon);
  const databaseUrl = given.database ?? database?.url ?? '';
  const redisUrl = given.redis ?? cache?.url ?? '';
  project.provide('databaseUrl', databaseUrl);
  project.provide('redisUrl', redisUrl);
  // A million takes minutes; the plans are the same.
  project.provide('planLetters', Number(process.env.PLAN_LETTERS ?? 200_000));
  Object.assign(process.env, { TEST_DATABASE_URL: databaseUrl, TEST_REDIS_URL: redisUrl });
  return async () => {
    await Promise.all([database?.stop(), cache?.stop()]);
    process.off('exit', abandon);
    removeRun(directory);
    restore('TEST_DATABASE_URL', given.database);
    restore('TEST_REDIS_URL', given.redis);
  };
}

/** A run that was killed leaves its servers and its directory behind: nothing of them is wanted. */
function clearDeadRuns(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(name.startsWith(PREFIX) && name.slice(PREFIX.length).split('-')[0]);
    if (!pid || isRunning(pid)) continue;
    const directory = join(tmpdir(), name);
    killServer(join(directory, 'postgres'), 'data/postmaster.pid', 'data');
    killServer(join(directory, 'redis'), 'redis.pid', '');
    removeRun(directory);
  }
}

function killServer(home: string, pidFile: string, data: string): void {
  const pid = pidIn(join(home, pidFile));
  if (pid && servesDirectory(pid, join(realpathSync(home), data))) sendSignal(pid, 'SIGKILL');
}

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

/** The last processes of a killed server may still write: what they leave goes with the next run. */
function removeRun(directory: string): void {
  const postgres = join(directory, 'postgres');
  try {
    // A link where the temporary directory is closed to PostgreSQL's user.
    if (existsSync(postgres)) rmSync(realpathSync(postgres), { recursive: true, force: true, maxRetries: 3 });
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  } catch {}
}
