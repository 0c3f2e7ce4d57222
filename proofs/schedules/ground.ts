import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startServers } from '../../bench/servers.ts';
import { openDatabase, openMigrator, opsMigrations, sql } from '../../packages/ops/src/index.ts';
import { createTestDatabase, templateDatabase } from '../../packages/ops/src/testing/database.ts';
import { temporaryDirectory } from '../harness/directory.ts';

/** Servers of their own, and what the processes run. */
export interface Ground {
  readonly redisUrl: string;
  readonly program: string;
  /** Where processes keep what they compiled. */
  readonly compiledIn: string;
  /** A migrated database with the table of effects. Answers its address. */
  createDatabase(name: string): Promise<string>;
  close(): Promise<void>;
}

export async function openGround(): Promise<Ground> {
  const servers = await startServers();
  const directory = temporaryDirectory('schedules');
  const adminUrl = servers.databaseUrl;
  const template = await templateDatabase({ adminUrl, name: 'proof_template', prepare });
  const program = fileURLToPath(new URL('host.ts', import.meta.url));
  const compiledIn = process.env.NODE_COMPILE_CACHE ?? join(directory.path, 'compiled');
  // A killed process keeps nothing of what it compiled: one that ends by itself does it for all.
  const env = { PATH: process.env.PATH, NODE_COMPILE_CACHE: compiledIn };
  await promisify(execFile)(process.execPath, [program, 'run', 'nothing'], { env });
  return {
    redisUrl: servers.redisUrl,
    program,
    compiledIn,
    createDatabase: async (name) => (await createTestDatabase({ adminUrl, template, name })).url,
    async close() {
      await servers.stop();
      directory.remove();
    },
  };
}

async function prepare(url: string): Promise<void> {
  await openMigrator({ url, sets: [opsMigrations] }).up();
  const db = openDatabase({ url, poolSize: 1 });
  await db.query(sql`create table effect (schedule text not null, fire_at timestamptz not null, run_id uuid not null)`);
  await db.close();
}
