import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { noLimits, startServers } from '../../bench/servers.ts';
import { connectRedis } from '../../packages/ops/src/redis/index.ts';
import { createTestDatabase, templateDatabase } from '../../packages/ops/src/testing/database.ts';

/** Who may approve leads and credit money, in every database of a stage. */
export const admin = {
  email: 'admin@example.com',
  password: 'proof-of-the-main-flow',
  totpSecret: 'PROOFOFTHEMAINFLOWPROOFOFTHEMAIN',
} as const;

export type Redis = ReturnType<typeof connectRedis>;

/** Servers of their own, and a place for evidence. */
export interface Stage {
  readonly redis: Redis;
  /** For journals and logs; removed at the end unless kept. */
  readonly directory: string;
  /** A migrated database with the admin in it. Answers its address. */
  createDatabase(name: string): Promise<string>;
  /** A copy of a database that nobody is connected to. */
  copyDatabase(from: string, name: string): Promise<string>;
  /** The environment of a role: short times, so that what is lost is missed soon. */
  settings(servers: { databaseUrl: string; smtpUrl: string }): Record<string, string>;
  close(options: { keepDirectory: boolean }): Promise<void>;
}

const program = fileURLToPath(new URL('../../apps/marketplace/bin/fmhl.mjs', import.meta.url));

export async function openStage(): Promise<Stage> {
  const servers = await startServers();
  const directory = mkdtempSync(join(tmpdir(), 'fmhl-proof-'));
  const tokenKey = randomBytes(32).toString('hex');
  const common = {
    ...noLimits,
    TOKEN_KEY: tokenKey,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(directory, 'compiled'),
  };
  const adminUrl = servers.databaseUrl;
  const fmhl = (databaseUrl: string, ...args: string[]) =>
    promisify(execFile)(process.execPath, [program, ...args], {
      env: {
        PATH: process.env.PATH,
        ...common,
        DATABASE_URL: databaseUrl,
        FMHL_ADMIN_EMAIL: admin.email,
        FMHL_ADMIN_PASSWORD: admin.password,
        FMHL_ADMIN_TOTP_SECRET: admin.totpSecret,
      },
    });
  const template = await templateDatabase({
    adminUrl,
    name: 'proof_template',
    prepare: async (url) => {
      await fmhl(url, 'migrate');
      await fmhl(url, 'migrate', 'roles');
      await fmhl(url, 'user', 'create-admin', admin.email);
    },
  });
  const copyDatabase = async (from: string, name: string) =>
    (await createTestDatabase({ adminUrl, template: from, name })).url;
  const redis = connectRedis({ url: servers.redisUrl });
  return {
    redis,
    directory,
    createDatabase: (name) => copyDatabase(template, name),
    copyDatabase,
    settings: ({ databaseUrl, smtpUrl }) => ({
      ...common,
      DATABASE_URL: databaseUrl,
      REDIS_URL: servers.redisUrl,
      SMTP_URL: smtpUrl,
      JOB_LOCK_MS: '1000',
      LEASE_MS: '2000',
      RECONCILE_AFTER_MS: '1500',
      RECONCILE_EVERY_MS: '500',
      PROBE_EVERY_MS: '0',
    }),
    async close({ keepDirectory }) {
      redis.disconnect();
      await servers.stop();
      if (!keepDirectory) rmSync(directory, { recursive: true, force: true });
    },
  };
}
