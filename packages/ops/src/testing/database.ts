import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { pollUntil } from './poll.ts';

const OBJECT_IN_USE = '55006';
const COPY_WITHIN_MS = 20_000;
const TEMPLATE_WITHIN_MS = 60_000;

export interface TestDatabase {
  /** Connects to the new database. */
  url: string;
  /** Removes it, with every connection to it. Safe twice. On a server that says `fmhl.disposable` a small one loses its name only. */
  drop(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** Of a database whose user may create others. */
  adminUrl: string;
  /** Database to copy, as made by `templateDatabase`; an empty database when missing. */
  template?: string;
  /** Default: `t_` and random letters. */
  name?: string;
}

/**
 * Makes a database for one test file, by copying a template: some 30 ms. Waits while the template is in use, up to 20 s.
 *
 * @example
 * const database = await createTestDatabase({ adminUrl, template });
 * afterAll(() => database.drop());
 */
export async function createTestDatabase(options: TestDatabaseOptions): Promise<TestDatabase> {
  const { adminUrl, template = 'template0', name = `t_${randomBytes(6).toString('hex')}` } = options;
  await copyDatabase({ adminUrl, template, name });
  return { url: urlOfDatabase(adminUrl, name), drop: () => dropDatabase(adminUrl, name) };
}

/** The same server, another database. */
function urlOfDatabase(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.toString();
}

async function copyDatabase({ adminUrl, template, name }: Required<TestDatabaseOptions>): Promise<void> {
  const deadline = performance.now() + COPY_WITHIN_MS;
  for (;;) {
    try {
      return await asAdmin(adminUrl, (admin) =>
        admin.query(`CREATE DATABASE ${quoted(name)} TEMPLATE ${quoted(template)} STRATEGY FILE_COPY`),
      );
    } catch (error) {
      if ((error as { code?: string }).code !== OBJECT_IN_USE || performance.now() > deadline) throw error;
      await delay(20 + Math.random() * 30);
    }
  }
}

/** A larger one goes in any case, in bytes. */
const KEPT_BYTES = 32 * 1024 * 1024;

/**
 * A server that goes with the run it was started for need not drop: ext4 searches long for the inode of a new file while many were freed
 * in the last minute, and a copy of 800 files takes 450 ms of it in place of 30.
 */
function dropDatabase(adminUrl: string, name: string): Promise<void> {
  return asAdmin(adminUrl, async (admin) => {
    if (!(await mayStay(admin, name))) {
      await admin.query(`DROP DATABASE IF EXISTS ${quoted(name)} WITH (FORCE)`);
      return;
    }
    await admin.query(`ALTER DATABASE ${quoted(name)} WITH ALLOW_CONNECTIONS false`);
    await admin.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1', [name]);
    await admin.query(`ALTER DATABASE ${quoted(name)} RENAME TO ${quoted(`gone_${name}`)}`);
  });
}

async function mayStay(admin: pg.Client, name: string): Promise<boolean> {
  const { rows } = await admin.query<{ stays: boolean }>(
    `SELECT current_setting('fmhl.disposable', true) = 'on' AND pg_database_size(oid) < $2 AS stays FROM pg_database WHERE datname = $1`,
    [name, KEPT_BYTES],
  );
  return rows[0]?.stays ?? false;
}

async function asAdmin(adminUrl: string, work: (admin: pg.Client) => Promise<unknown>): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

const quoted = (name: string) => pg.escapeIdentifier(name);

export interface TemplateDatabaseOptions {
  /** Of a database whose user may create others. */
  adminUrl: string;
  /** Names the template on that server: the first caller prepares it, the others get what stands. */
  name: string;
  /** Fills the new database, migrations for the most part; must close its connections. */
  prepare: (url: string) => Promise<void>;
}

/**
 * Makes a template once for all test processes of a run and returns its name. A half-prepared one, left by a failure, is made anew.
 * Throws what `prepare` throws.
 */
export async function templateDatabase({ adminUrl, name, prepare }: TemplateDatabaseOptions): Promise<string> {
  await asAdmin(adminUrl, async (admin) => {
    // Polled, as a session that waits for a lock would hold up CREATE INDEX CONCURRENTLY in `prepare` for ever.
    await pollUntil(() => tryLock(admin, name), { deadlineMs: TEMPLATE_WITHIN_MS, everyMs: 25 });
    if (await isTemplate(admin, name)) return;
    await admin.query(`DROP DATABASE IF EXISTS ${quoted(name)} WITH (FORCE)`);
    await admin.query(`CREATE DATABASE ${quoted(name)} TEMPLATE template0`);
    await prepare(urlOfDatabase(adminUrl, name));
    // Without connections to it, it is never in use by anything but a copy.
    await admin.query(`ALTER DATABASE ${quoted(name)} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`);
  });
  return name;
}

async function tryLock(admin: pg.Client, name: string): Promise<boolean> {
  const { rows } = await admin.query<{ locked: boolean }>('SELECT pg_try_advisory_lock(hashtext($1)) AS locked', [
    name,
  ]);
  return rows[0]?.locked ?? false;
}

async function isTemplate(admin: pg.Client, name: string): Promise<boolean> {
  const { rowCount } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate', [name]);
  return rowCount === 1;
}
