import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { type Database, openDatabase, openMigrator } from '../postgres/index.ts';
import { opsMigrations } from '../ops.ts';
import { createTestDatabase, templateDatabase } from '../testing/index.ts';
import { type Actor, audit, type AuditKey } from './index.ts';
import { linkOnce } from './link.ts';
import { verifyAudit, type VerifyOptions } from './verify.ts';

export const ana: Actor = { id: '6b0e7a3c-0000-4000-8000-000000000001', name: 'Ana', via: 'http' };
export const key: AuditKey = { id: 'first', key: randomBytes(32) };

/** A database with the plane's tables, somebody who acts, and somebody who may do anything to the tables. */
export async function openAuditWorld({ keys = [key] }: { keys?: readonly AuditKey[] } = {}) {
  const adminUrl = inject('databaseUrl');
  const prepare = async (url: string) => void (await openMigrator({ url, sets: [opsMigrations] }).up());
  const template = await templateDatabase({ adminUrl, name: 'ops_template', prepare });
  const database = await createTestDatabase({ adminUrl, template });
  const db = openDatabase({ url: database.url, poolSize: 20 });
  const act = (n: number) =>
    db.transaction((tx) =>
      audit(tx, {
        actor: ana,
        action: 'thing.changed',
        targetType: 'thing',
        targetId: String(n),
        reason: `because of ${n}`,
        details: { n, nested: { z: 1.5, a: null } },
      }),
    );
  const link = async (given = keys) => {
    while ((await linkOnce({ db, keys: given })).more);
  };
  return {
    db,
    url: database.url,
    act,
    link,
    /** Acts `count` times, and links all of it. */
    async chain(count: number) {
      for (let n = 1; n <= count; n += 1) await act(n);
      await link();
    },
    verify: (options: Partial<VerifyOptions> = {}) => verifyAudit(db, { keys, anchors: [], pageSize: 3, ...options }),
    tamper: (text: string) => tamper(database.url, text),
    async close() {
      await db.close();
      await database.drop();
    },
  };
}

export type AuditWorld = Awaited<ReturnType<typeof openAuditWorld>>;

/** As a superuser who has switched the triggers off. */
async function tamper(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`begin; set local session_replication_role = replica; ${text}; commit`);
  } finally {
    await client.end();
  }
}

export async function rowsOf(db: Database) {
  const text = 'select c.n, c.seq, encode(c.hash, $1) as hash, c.key_id from ops.audit_chain c order by n';
  const { rows } = await db.query<{ n: number; seq: number; hash: string; key_id: string | null }>({
    name: 'rows-of-chain',
    text,
    values: ['hex'],
  });
  return rows;
}
