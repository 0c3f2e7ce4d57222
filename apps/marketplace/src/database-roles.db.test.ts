import { randomUUID } from 'node:crypto';
import { audit, type Database, openDatabase, raw, sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { actingAs, appendOnly, type DatabaseRole, databaseRoles, grantRoles } from './database-roles.ts';
import { reconcileBalances } from './features/billing/index.ts';
import { reactivateSubscriptions } from './features/subscriptions/index.ts';
import { retainTables } from './retention.ts';
import { openTestWorld, type TestWorld } from './testing/world.ts';

let world: TestWorld;
const roles = Object.keys(databaseRoles) as DatabaseRole[];
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  world = await openTestWorld();
  await grantRoles(world.url);
});
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
  await world.close();
});

function databaseOf(role: DatabaseRole): Database {
  const db = openDatabase({ url: actingAs(world.url, role), poolSize: 1 });
  closers.push(() => db.close());
  return db;
}

async function rightsOn(table: string, role: DatabaseRole): Promise<string[]> {
  const { rows } = await world.db.query<{ letter: string }>(sql`
    select p.word as letter from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p(word)
    where has_table_privilege(${role}, ${table}, p.word)`);
  return rows.map(({ letter }) => letter);
}

describe('every process role', () => {
  it.each(roles)('%s neither owns nor makes anything, and cannot log in', async (role) => {
    const db = databaseOf(role);
    const { rows } = await db.query(sql`
      select rolsuper, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
             (select count(*) from pg_class where relowner = r.oid) as owns,
             has_schema_privilege(current_user, 'public', 'create') or has_schema_privilege(current_user, 'ops', 'create')
               or has_schema_privilege(current_user, 'identity', 'create') as creates
      from pg_roles r where rolname = current_user`);
    expect(Object.values(rows[0] ?? {}).every((value) => value === false || value === 0)).toBe(true);
    await expect(db.query(sql`create table mine (n int)`)).rejects.toThrow('permission denied');
    await expect(db.query(sql`alter table ops.audit_log disable trigger all`)).rejects.toThrow('must be owner');
    await expect(db.query(sql`update ops.migration set checksum = 'x'`)).rejects.toThrow('permission denied');
  });

  it.each(appendOnly)('may not change a row of %s, or delete one', async (table) => {
    for (const role of roles) {
      const rights = await rightsOn(table, role);
      for (const right of rights) expect(['SELECT', 'INSERT']).toContain(right);
    }
  });

  it('has the rights of the table and no others, on every table there is', async () => {
    const { rows } = await world.db.query<{ name: string }>(sql`
      select format('%s.%s', schemaname, relname) as name from (
        select schemaname, tablename as relname from pg_tables union all select schemaname, viewname from pg_views) t
      where schemaname in ('public', 'ops', 'identity') order by 1`);
    const words = { r: 'SELECT', a: 'INSERT', w: 'UPDATE', d: 'DELETE' };
    for (const { name } of rows) {
      for (const role of roles) {
        const rights: Record<string, string> = databaseRoles[role];
        const given = rights[name] ?? rights[name.replace(/\.\w+$/, '.*')] ?? '?';
        // A right on a column is none on the table.
        const letters = given.replaceAll(/\w\([^)]*\)/g, '');
        const kept = appendOnly.includes(name) ? 'wd' : name === 'ops.migration' ? 'awd' : '';
        const expected = letters
          .split('')
          .filter((one) => !kept.includes(one))
          .map((one) => words[one as keyof typeof words]);
        expect([name, role, await rightsOn(name, role)]).toEqual([name, role, expected]);
      }
    }
  });

  it('names only tables that exist', async () => {
    const named = roles.flatMap((role) => Object.keys(databaseRoles[role])).filter((name) => !name.endsWith('*'));
    for (const name of [...named, ...appendOnly]) {
      const { rows } = await world.db.query(sql`select to_regclass(${name}) is not null as there`);
      expect([name, rows[0]?.there]).toEqual([name, true]);
    }
  });

  it.each(['fmhl_worker', 'fmhl_relay'] as const)('%s does not get at who may sign in', async (role) => {
    const db = databaseOf(role);
    await expect(db.query(sql`select password_hash from identity.users`)).rejects.toThrow('permission denied');
    await expect(db.query(sql`select token_sha256 from identity.session`)).rejects.toThrow('permission denied');
  });

  it('fmhl_worker moves the clock of a level and cannot touch its price', async () => {
    const db = databaseOf('fmhl_worker');
    await db.query(sql`update level set vclock = vclock`);
    await expect(db.query(sql`update level set price_cents = 1`)).rejects.toThrow('permission denied');
    await expect(db.query(sql`update v_niche set name = 'x'`)).rejects.toThrow('permission denied');
    await expect(db.query(sql`update payment set status = 'succeeded'`)).rejects.toThrow('permission denied');
  });

  it.each([
    ['update identity.session set user_id = user_id'],
    ["update identity.session set mfa_at = clock_timestamp(), kind = 'full'"],
    ["update identity.session set expires_at = expires_at + interval '1 day', revoked_at = null"],
    ['update identity.api_token set scopes = scopes'],
    ['update identity.api_token set version = version'],
    ['update identity.user_token set used_at = null'],
    ["update identity.passkey_challenge set expires_at = 'infinity'"],
    ["update identity.login_failure set at = 'epoch'"],
    [
      "insert into identity.session (user_id, token_sha256, idle_expires_at, expires_at) values (null, '', now(), now())",
    ],
  ])('fmhl_worker makes nobody an admin: %s', async (statement) => {
    await expect(databaseOf('fmhl_worker').query(raw(statement))).rejects.toThrow('permission denied');
  });

  it('fmhl_worker runs the schedules of money: it corrects and wakes, and closes no case', async () => {
    const db = databaseOf('fmhl_worker');
    const level = await world.make.level({ nicheId: (await world.make.niche()).id, priceCents: 500 });
    const [small, large] = [await world.make.provider(), await world.make.provider()];
    for (const { id: providerId } of [small, large]) {
      await world.make.credit({ providerId, amountCents: 1_000 });
      await world.make.subscription({ providerId, levelId: level.id, status: 'paused_funds' });
    }
    await world.db.query(sql`update account set balance_cents = 1050 where provider_id = ${small.id}`);
    await world.db.query(sql`update account set balance_cents = 9000 where provider_id = ${large.id}`);
    const run = { db, runId: randomUUID(), correlationId: 'of-a-test', log: world.log, metrics: world.metrics };
    expect(await reconcileBalances(run)).toMatchObject({ corrected: 1, alerted: 1 });
    expect(await reactivateSubscriptions(run)).toMatchObject({ reactivated: 2 });
    for (const statement of ['update balance_correction set closed_at = now()', 'delete from reconciliation_run'])
      await expect(db.query(raw(statement))).rejects.toThrow('permission denied');
  });

  it('fmhl_worker removes what ended', async () => {
    const db = databaseOf('fmhl_worker');
    const { signal } = new AbortController();
    expect(Object.keys(await retainTables(db, { now: new Date(), signal }))).toContain('session');
  });

  it.each(roles)('%s adds to the audit log and its row waits for a link', async (role) => {
    const db = databaseOf(role);
    const actor = { id: 'test', name: 'test', via: 'system' } as const;
    await db.transaction((tx) => audit(tx, { actor, action: 'test.acted', targetType: 'role', targetId: role }));
    const { rows } = await world.db.query(sql`
      select count(*)::int as waiting from ops.audit_pending natural join ops.audit_log where target_id = ${role}`);
    expect(rows[0]?.waiting).toBe(1);
  });

  it.each(['fmhl_api', 'fmhl_worker', 'fmhl_relay'] as const)('%s forges no link of the audit log', async (role) => {
    const db = databaseOf(role);
    const link = "insert into ops.audit_chain (n, seq, hash) values (1, 1, sha256('forged'))";
    const waiting = 'insert into ops.audit_pending (seq) values (1)';
    for (const statement of [link, waiting, 'delete from ops.audit_pending', 'update ops.audit_pending set seq = -seq'])
      await expect(db.query(raw(statement))).rejects.toThrow('permission denied');
  });

  it('is granted the same a second time', async () => {
    await Promise.all([grantRoles(world.url), world.db.query(sql`select 1`)]);
    expect(await rightsOn('ops.audit_log', 'fmhl_api')).toEqual(['SELECT', 'INSERT']);
  });
});
