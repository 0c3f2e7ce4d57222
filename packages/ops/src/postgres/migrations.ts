import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';

/** A folder of numbered SQL files: `0001_name.sql` with the parts `-- migrate:up` and `-- migrate:down`. */
export interface MigrationSet {
  /** Kept in the record of what was applied; two sets never share numbers. */
  readonly name: string;
  readonly directory: string;
}

export interface MigrationState {
  readonly set: string;
  readonly version: number;
  readonly name: string;
  /** Undefined when it waits to be applied. */
  readonly appliedAt: Date | undefined;
}

export interface Migrator {
  /** Applies all that wait, in order of set and number. Safe to call from several processes at once. */
  up(): Promise<MigrationState[]>;
  /** Reverts the newest `steps`, or all. */
  down(steps?: number): Promise<MigrationState[]>;
  status(): Promise<MigrationState[]>;
}

/** A migration that cannot go on: drift, a gap, a broken file. Names the file. */
export class MigrationError extends Error {
  override name = 'MigrationError';
}

export interface MigratorOptions {
  readonly url: string;
  /** In the order of `up`; `down` goes backwards. */
  readonly sets: readonly MigrationSet[];
  readonly onApplied?: (migration: MigrationState) => void;
  readonly onReverted?: (migration: MigrationState) => void;
  /** Longest wait for another starter, in ms. Default 60,000. */
  readonly lockTimeoutMs?: number;
}

interface Migration {
  readonly set: string;
  readonly version: number;
  readonly name: string;
  readonly up: string;
  readonly down: string;
  readonly checksum: string;
  /** `-- migrate:up no-transaction`, for CREATE INDEX CONCURRENTLY. One statement a file. */
  readonly transactional: boolean;
}

interface AppliedRow {
  set: string;
  version: number;
  checksum: string;
  applied_at: Date;
}

/** Any fixed number: it only has to be the same for all starters of one database. */
const lockKey = 7_263_501_144;

/** Opens the runner for some sets. Each call of it uses one connection of its own, closed at the end. */
export function openMigrator(options: MigratorOptions): Migrator {
  const locked = <T>(work: (client: pg.Client) => Promise<T>) => withLock(options, work);
  return {
    up: () => locked((client) => applyAll(client, options)),
    down: (steps = Number.POSITIVE_INFINITY) => locked((client) => revert(client, options, steps)),
    status: () =>
      locked(async (client) => {
        const applied = await readApplied(client);
        return (await readSets(options.sets)).map((migration) => stateOf(migration, applied));
      }),
  };
}

/** Polls for the lock: waiting inside Postgres would deadlock with a CREATE INDEX CONCURRENTLY of its holder. */
async function withLock<T>(options: MigratorOptions, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: options.url, application_name: 'migrations' });
  await client.connect();
  try {
    const deadline = performance.now() + (options.lockTimeoutMs ?? 60_000);
    while (!(await tryLock(client))) {
      if (performance.now() > deadline)
        throw new MigrationError('another process has been migrating this database for too long');
      await wait(50);
    }
    return await work(client);
  } finally {
    await client.end();
  }
}

async function tryLock(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [lockKey]);
  return rows[0]?.locked === true;
}

async function applyAll(client: pg.Client, options: MigratorOptions): Promise<MigrationState[]> {
  await client.query(`
    create schema if not exists ops;
    create table if not exists ops.migration (
      "set" text not null, version int not null, name text not null, checksum text not null,
      applied_at timestamptz not null default clock_timestamp(), primary key ("set", version))`);
  const migrations = await readSets(options.sets);
  const applied = await readApplied(client);
  refuseDrift(migrations, applied);
  const fresh = migrations.filter((migration) => !find(applied, migration));
  const states: MigrationState[] = [];
  for (const migration of fresh) {
    await inTransaction(client, migration, migration.up, [
      'insert into ops.migration ("set", version, name, checksum) values ($1, $2, $3, $4)',
      [migration.set, migration.version, migration.name, migration.checksum],
    ]);
    const state = { set: migration.set, version: migration.version, name: migration.name, appliedAt: new Date() };
    options.onApplied?.(state);
    states.push(state);
  }
  return states;
}

async function revert(client: pg.Client, options: MigratorOptions, steps: number): Promise<MigrationState[]> {
  const migrations = await readSets(options.sets);
  const applied = await readApplied(client);
  refuseDrift(migrations, applied);
  const standing = migrations.filter((migration) => find(applied, migration)).reverse();
  const states: MigrationState[] = [];
  for (const migration of standing.slice(0, steps)) {
    await inTransaction(client, migration, migration.down, [
      'delete from ops.migration where "set" = $1 and version = $2',
      [migration.set, migration.version],
    ]);
    const state = { set: migration.set, version: migration.version, name: migration.name, appliedAt: undefined };
    options.onReverted?.(state);
    states.push(state);
  }
  if (standing.length > 0 && states.length === standing.length)
    await client.query('drop table ops.migration; drop schema ops');
  return states;
}

async function inTransaction(client: pg.Client, migration: Migration, body: string, record: [string, unknown[]]) {
  try {
    if (migration.transactional) await client.query('begin');
    await client.query(body);
    await client.query(...record);
    if (migration.transactional) await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    const message = error instanceof Error ? error.message : String(error);
    throw new MigrationError(`${migration.set}/${migration.name}: ${message}`, { cause: error });
  }
}

async function readApplied(client: pg.Client): Promise<AppliedRow[]> {
  const { rows: found } = await client.query<{ there: boolean }>(
    `select to_regclass('ops.migration') is not null as there`,
  );
  if (!found[0]?.there) return [];
  return (await client.query<AppliedRow>('select "set", version, checksum, applied_at from ops.migration')).rows;
}

function find(applied: readonly AppliedRow[], migration: Migration): AppliedRow | undefined {
  return applied.find((row) => row.set === migration.set && row.version === migration.version);
}

function stateOf(migration: Migration, applied: readonly AppliedRow[]): MigrationState {
  const { set, version, name } = migration;
  return { set, version, name, appliedAt: find(applied, migration)?.applied_at };
}

/** A file that changed after it was applied describes another database than this one. */
function refuseDrift(migrations: readonly Migration[], applied: readonly AppliedRow[]) {
  for (const migration of migrations) {
    const row = find(applied, migration);
    if (row && row.checksum !== migration.checksum) {
      throw new MigrationError(
        `${migration.set}/${migration.name} was changed after it was applied; restore it and write a further migration`,
      );
    }
  }
  for (const set of new Set(migrations.map((migration) => migration.set))) {
    const unknown = applied.find(
      (row) => row.set === set && !migrations.some((m) => m.set === set && m.version === row.version),
    );
    if (unknown)
      throw new MigrationError(`the database is at ${set}/${unknown.version}, which this version does not know`);
  }
}

async function readSets(sets: readonly MigrationSet[]): Promise<Migration[]> {
  return (await Promise.all(sets.map(readSet))).flat();
}

async function readSet({ name: set, directory }: MigrationSet): Promise<Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort();
  const migrations = await Promise.all(
    files.map(async (file) => parse(set, file, await readFile(joinPath(directory, file), 'utf8'))),
  );
  const twice = migrations.find((migration, at) => migrations[at + 1]?.version === migration.version);
  if (twice) throw new MigrationError(`${set} has two migrations numbered ${twice.version}`);
  return migrations;
}

function parse(set: string, file: string, text: string): Migration {
  const version = Number(/^(\d+)_/.exec(file)?.[1]);
  const parts = /-- migrate:up(?<flags>[^\n]*)\n(?<up>[\s\S]*?)\n-- migrate:down[^\n]*\n(?<down>[\s\S]*)/.exec(
    text,
  )?.groups;
  if (!Number.isInteger(version) || !parts) {
    throw new MigrationError(
      `${set}/${file} must be named NNNN_name.sql and have the parts "-- migrate:up" and "-- migrate:down"`,
    );
  }
  return {
    set,
    version,
    name: file,
    up: parts.up ?? '',
    down: parts.down ?? '',
    checksum: createHash('sha256').update(text).digest('hex'),
    transactional: !parts.flags?.includes('no-transaction'),
  };
}
