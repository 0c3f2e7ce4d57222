import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../apps/marketplace/src/embedded/postgres.ts';
import { startRedis } from '../apps/marketplace/src/embedded/redis.ts';

/** Postgres and Redis of one benchmark or proof, in a directory of their own, with the settings of production. */
export interface Servers {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** Ends both and removes their data. */
  stop(): Promise<void>;
}

export async function startServers(): Promise<Servers> {
  const directory = mkdtempSync(join(tmpdir(), 'fmhl-bench-'));
  // PostgreSQL's own user has to pass when the benchmark runs as root.
  chmodSync(directory, 0o711);
  const [postgres, redis] = await Promise.all([
    startPostgres({ dataDir: join(directory, 'postgres') }),
    startRedis({ dataDir: join(directory, 'redis') }),
  ]);
  const leaveNothing = () => {
    postgres.kill();
    redis.kill();
    rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', leaveNothing);
  return {
    databaseUrl: postgres.url,
    redisUrl: redis.url,
    async stop() {
      await Promise.all([postgres.stop(), redis.stop()]);
      process.off('exit', leaveNothing);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Settings without which a thousand visitors from one address would be refused. */
export const noLimits: Readonly<Record<string, string>> = Object.fromEntries(
  ['GLOBAL', 'ADDRESS', 'ACCOUNT', 'LEADS_ADDRESS', 'LEADS_EMAIL', 'REGISTER_ADDRESS', 'REGISTER_EMAIL'].map((name) => [
    `RATE_LIMIT_${name}`,
    '0',
  ]),
);
