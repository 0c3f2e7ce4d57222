import { type Queryable, sql } from '@fmhl/ops';
import type { Role } from '../auth/index.ts';
import type { StaffRole } from './contract.ts';

export interface UserRow {
  id: string;
  email: string;
  display_name: string;
  role: Role;
  status: 'active' | 'disabled';
  email_verified_at: Date | null;
  last_login_at: Date | null;
  created_at: Date;
  version: number;
  /** Of `created_at`, to the microsecond. */
  position: string;
}

const users = sql`
  select id, email, display_name, role, status, email_verified_at, last_login_at, created_at, version,
         created_at::text as position
  from identity.users`;

/** Users, newest first, behind `after` (a moment and an id). */
export async function listUsers(
  db: Queryable,
  filter: { role?: Role | undefined; status?: 'active' | 'disabled' | undefined },
  { after, limit }: { after: readonly [string, string] | undefined; limit: number },
): Promise<UserRow[]> {
  const { role, status } = filter;
  const { rows } = await db.query<UserRow>(sql`
    ${users}
    where true ${role === undefined ? sql`` : sql`and role = ${role}`}
      ${status === undefined ? sql`` : sql`and status = ${status}`}
      ${after ? sql`and (created_at, id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
    order by created_at desc, id desc limit ${limit}`);
  return rows;
}

export async function userById(db: Queryable, id: string): Promise<UserRow | undefined> {
  const { rows } = await db.query<UserRow>(sql`${users} where id = ${id}`);
  return rows[0];
}

/** The user, their row locked until the transaction ends. */
export async function lockUser(tx: Queryable, id: string): Promise<UserRow | undefined> {
  const { rows } = await tx.query<UserRow>(sql`${users} where id = ${id} for no key update`);
  return rows[0];
}

/** The same by their address. */
export async function lockUserByEmail(tx: Queryable, emailNorm: string): Promise<UserRow | undefined> {
  const { rows } = await tx.query<UserRow>(sql`${users} where email_norm = ${emailNorm} for no key update`);
  return rows[0];
}

/** Makes those who would take an admin away wait for each other, until the transaction ends. */
export async function lockAdmins(tx: Queryable): Promise<void> {
  await tx.query(sql`select pg_advisory_xact_lock(hashtextextended('identity.admins', 0))`);
}

export async function hasOtherActiveAdmin(tx: Queryable, id: string): Promise<boolean> {
  const { rows } = await tx.query(
    sql`select from identity.users where role = 'admin' and status = 'active' and id <> ${id} limit 1`,
  );
  return rows.length > 0;
}

export async function setRole(tx: Queryable, id: string, role: StaffRole): Promise<void> {
  await tx.query(sql`
    update identity.users set role = ${role}, version = version + 1, updated_at = clock_timestamp() where id = ${id}`);
}

export async function setStatus(tx: Queryable, id: string, status: 'active' | 'disabled'): Promise<number> {
  const { rows } = await tx.query<{ version: number }>(sql`
    update identity.users set status = ${status}, version = version + 1, updated_at = clock_timestamp()
    where id = ${id} returning version`);
  return rows[0]?.version ?? 0;
}

/** Notes that the address is theirs. Undefined when that was known. */
export async function markVerified(tx: Queryable, id: string, now: Date): Promise<number | undefined> {
  const { rows } = await tx.query<{ version: number }>(sql`
    update identity.users set email_verified_at = ${now}, version = version + 1, updated_at = clock_timestamp()
    where id = ${id} and email_verified_at is null returning version`);
  return rows[0]?.version;
}

export async function setPassword(tx: Queryable, id: string, passwordHash: string): Promise<number> {
  const { rows } = await tx.query<{ version: number }>(sql`
    update identity.users set password_hash = ${passwordHash}, version = version + 1, updated_at = clock_timestamp()
    where id = ${id} returning version`);
  return rows[0]?.version ?? 0;
}

/** Who an address belongs to, if they may sign in. */
export async function activeUserByEmail(
  db: Queryable,
  emailNorm: string,
): Promise<{ id: string; email: string } | undefined> {
  const { rows } = await db.query<{ id: string; email: string }>(
    sql`select id, email from identity.users where email_norm = ${emailNorm} and status = 'active'`,
  );
  return rows[0];
}
