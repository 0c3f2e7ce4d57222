import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startServers } from '../../bench/servers.ts';
import { opsMigrations } from '../../packages/ops/src/ops.ts';
import { type Database, openDatabase, openMigrator, sql } from '../../packages/ops/src/postgres/index.ts';
import { connectRedis } from '../../packages/ops/src/redis/index.ts';
import { createTestDatabase, templateDatabase } from '../../packages/ops/src/testing/database.ts';
import { type Client, openClient } from './client.ts';
import { temporaryDirectory } from '../harness/directory.ts';
import { type Fleet, type Member, openFleet } from '../harness/fleet.ts';
import { type Journal, openJournal } from '../harness/journal.ts';
import type { Intention } from './intentions.ts';

const program = fileURLToPath(new URL('host.ts', import.meta.url));

export type Redis = ReturnType<typeof connectRedis>;

/** Servers of their own, and a place for evidence. */
export interface Ground {
  readonly redis: Redis;
  readonly redisUrl: string;
  readonly directory: string;
  /** A migrated database with the table of effects. Answers its address. */
  createDatabase(name: string): Promise<string>;
  /** A copy of a database that nobody is connected to. */
  copyDatabase(from: string, name: string): Promise<string>;
  close(options: { keepDirectory: boolean }): Promise<void>;
}

export async function openGround(): Promise<Ground> {
  const servers = await startServers();
  const directory = temporaryDirectory('dead-letters');
  const adminUrl = servers.databaseUrl;
  const template = await templateDatabase({ adminUrl, name: 'proof_template', prepare });
  const redis = connectRedis({ url: servers.redisUrl });
  await warm(compiledIn(directory.path));
  const copyDatabase = async (from: string, name: string) =>
    (await createTestDatabase({ adminUrl, template: from, name })).url;
  return {
    redis,
    redisUrl: servers.redisUrl,
    directory: directory.path,
    createDatabase: (name) => copyDatabase(template, name),
    copyDatabase,
    async close({ keepDirectory }) {
      redis.disconnect();
      await servers.stop();
      if (!keepDirectory) directory.remove();
    },
  };
}

/** Where processes keep what they compiled: a place for all proofs where they run one after another. */
function compiledIn(directory: string): string {
  return process.env.NODE_COMPILE_CACHE ?? join(directory, 'compiled');
}

/** A killed process keeps nothing of what it compiled: one that ends by itself does it for all. */
async function warm(compiled: string): Promise<void> {
  const env = { PATH: process.env.PATH, NODE_COMPILE_CACHE: compiled };
  await promisify(execFile)(process.execPath, [program, 'run', 'nothing'], { env });
}

async function prepare(url: string): Promise<void> {
  await openMigrator({ url, sets: [opsMigrations] }).up();
  const db = openDatabase({ url, poolSize: 1 });
  await db.query(sql`create table effect (marker text not null, root text not null, run text not null)`);
  await db.close();
}

/** Where the checker finds what it compares. */
export interface Evidence {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly intentionsPath: string;
}

/** One system on a database of its own and an empty Redis: nothing runs yet. */
export interface Field {
  readonly fleet: Fleet;
  readonly db: Database;
  readonly redis: Redis;
  readonly client: Client;
  readonly intentions: Journal<Intention>;
  /** Blocked handlers look here for what releases them. */
  readonly directory: string;
  readonly evidence: Evidence;
  /** Kills what runs and writes down what it logged. */
  close(): Promise<void>;
}

export async function openField(name: string, ground: Ground): Promise<Field> {
  const directory = join(ground.directory, name);
  mkdirSync(directory);
  await ground.redis.flushall();
  const databaseUrl = await ground.createDatabase(name);
  const settings = {
    DATABASE_URL: databaseUrl,
    REDIS_URL: ground.redisUrl,
    DIRECTORY: directory,
    NODE_COMPILE_CACHE: compiledIn(ground.directory),
  };
  const fleet = await openFleet(settings, program);
  const db = openDatabase({ url: databaseUrl, poolSize: 6 });
  const intentions = openJournal<Intention>(join(directory, 'intentions.jsonl'));
  return {
    fleet,
    db,
    redis: ground.redis,
    intentions,
    directory,
    client: openClient(`${fleet.apiUrl}/api/v1/admin`),
    evidence: { databaseUrl, redisUrl: ground.redisUrl, intentionsPath: intentions.path },
    async close() {
      await fleet.close();
      writeFileSync(join(directory, 'log.jsonl'), fleet.members.flatMap(logOf).join('\n'));
      await db.close();
    },
  };
}

function logOf({ role, pid, failpoint = 'unarmed', lines, end }: Member): string[] {
  return [`== ${role} ${pid}, ${failpoint}, ended by ${end?.signal ?? `code ${end?.code}`}`, ...lines];
}
