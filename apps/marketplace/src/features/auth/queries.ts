import { prepared, type Queryable, sql } from '@fmhl/ops';
import type { Role } from './contract.ts';

export interface UserRow {
  id: string;
  email: string;
  password_hash: string;
  display_name: string;
  role: Role;
  status: 'active' | 'disabled';
  email_verified_at: Date | null;
}

export interface NewUser {
  email: string;
  emailNorm: string;
  passwordHash: string;
  displayName: string;
  role: Role;
  emailVerified: boolean;
}

/** The new id, or undefined when the address has an account. */
export async function insertUser(tx: Queryable, user: NewUser): Promise<string | undefined> {
  const { rows } = await tx.query<{ id: string }>(sql`
    insert into identity.users (email, email_norm, password_hash, display_name, role, email_verified_at)
    values (${user.email}, ${user.emailNorm}, ${user.passwordHash}, ${user.displayName}, ${user.role},
            case when ${user.emailVerified} then clock_timestamp() end)
    on conflict (email_norm) do nothing
    returning id`);
  return rows[0]?.id;
}

export async function userByEmail(db: Queryable, emailNorm: string): Promise<UserRow | undefined> {
  const { rows } = await db.query<UserRow>(sql`
    select id, email, password_hash, display_name, role, status, email_verified_at
    from identity.users where email_norm = ${emailNorm}`);
  return rows[0];
}

export async function passwordHashOf(db: Queryable, userId: string): Promise<string | undefined> {
  const { rows } = await db.query<{ password_hash: string }>(
    sql`select password_hash from identity.users where id = ${userId}`,
  );
  return rows[0]?.password_hash;
}

export async function adminExists(db: Queryable): Promise<boolean> {
  const { rows } = await db.query(sql`select from identity.users where role = 'admin' limit 1`);
  return rows.length > 0;
}

/** Makes the starters of several processes wait for each other, until the transaction ends. */
export async function lockFirstAdmin(tx: Queryable): Promise<void> {
  await tx.query(sql`select pg_advisory_xact_lock(hashtextextended('identity.first_admin', 0))`);
}

export interface NewSession {
  userId: string;
  tokenSha256: Buffer;
  kind: 'full' | 'mfa_pending';
  mfaAt: Date | null;
  ip: string;
  userAgent: string | null;
  now: Date;
  idleExpiresAt: Date;
  expiresAt: Date;
}

export async function insertSession(tx: Queryable, session: NewSession): Promise<void> {
  await tx.query(sql`
    insert into identity.session
      (user_id, token_sha256, kind, mfa_at, ip, user_agent, last_seen_at, idle_expires_at, expires_at)
    values (${session.userId}, ${session.tokenSha256}, ${session.kind}, ${session.mfaAt}, ${session.ip},
            ${session.userAgent}, ${session.now}, ${session.idleExpiresAt}, ${session.expiresAt})`);
}

/** Raises the version of a user, for an event about them, and answers it. */
export async function raiseUserVersion(tx: Queryable, id: string): Promise<number> {
  const { rows } = await tx.query<{ version: number }>(sql`
    update identity.users set version = version + 1, updated_at = clock_timestamp() where id = ${id} returning version`);
  return rows[0]?.version ?? 0;
}

/** Notes that a user has signed in. */
export async function noteSignIn(tx: Queryable, userId: string, now: Date): Promise<void> {
  await tx.query(sql`update identity.users set last_login_at = ${now} where id = ${userId}`);
}

export interface SessionRow {
  id: string;
  user_id: string;
  kind: 'full' | 'mfa_pending';
  mfa_at: Date | null;
  last_seen_at: Date;
  idle_expires_at: Date;
  expires_at: Date;
  revoked_at: Date | null;
  email: string;
  display_name: string;
  role: Role;
  user_status: 'active' | 'disabled';
  email_verified_at: Date | null;
}

/** The session of a token and its user: two reads by unique index. */
export async function sessionByToken(db: Queryable, tokenSha256: Buffer): Promise<SessionRow | undefined> {
  const { rows } = await db.query<SessionRow>(
    prepared(
      'session',
      sql`
        select s.id, s.user_id, s.kind, s.mfa_at, s.last_seen_at, s.idle_expires_at, s.expires_at, s.revoked_at,
               u.email, u.display_name, u.role, u.status as user_status, u.email_verified_at
        from identity.session s join identity.users u on u.id = s.user_id
        where s.token_sha256 = ${tokenSha256}`,
    ),
  );
  return rows[0];
}

/** Notes a use. Of several requests of one minute the first wins. */
export async function touchSession(
  db: Queryable,
  { id, seenAt, now, idleExpiresAt }: { id: string; seenAt: Date; now: Date; idleExpiresAt: Date },
): Promise<void> {
  await db.query(sql`
    update identity.session
    set last_seen_at = ${now}, idle_expires_at = ${idleExpiresAt}, updated_at = ${now}, version = version + 1
    where id = ${id} and last_seen_at <= ${seenAt} and revoked_at is null`);
}

/** Ends one session; false when it had ended. */
export async function revokeSession(tx: Queryable, { id, now }: { id: string; now: Date }): Promise<boolean> {
  const { rowCount } = await tx.query(sql`
    update identity.session set revoked_at = ${now}, updated_at = ${now}, version = version + 1
    where id = ${id} and revoked_at is null`);
  return rowCount === 1;
}

/** Ends the sessions of a user but one, if any is named. */
export async function revokeSessionsOf(
  tx: Queryable,
  { userId, now, except }: { userId: string; now: Date; except: string | null },
): Promise<number> {
  const { rowCount } = await tx.query(sql`
    update identity.session set revoked_at = ${now}, updated_at = ${now}, version = version + 1
    where user_id = ${userId} and revoked_at is null and id is distinct from ${except}::uuid`);
  return rowCount ?? 0;
}

/** Counts a try of a code, the row locked until the transaction ends. Undefined when the session has ended or had all its tries. */
export async function countCodeAttempt(
  tx: Queryable,
  { id, most, now }: { id: string; most: number; now: Date },
): Promise<number | undefined> {
  const { rows } = await tx.query<{ code_attempts: number }>(sql`
    update identity.session set code_attempts = code_attempts + 1, updated_at = ${now}, version = version + 1
    where id = ${id} and revoked_at is null and code_attempts < ${most}
    returning code_attempts`);
  return rows[0]?.code_attempts;
}

/** The second factor of a session counts as not shown any more. */
export async function forgetSecondFactor(tx: Queryable, id: string): Promise<void> {
  await tx.query(sql`update identity.session set mfa_at = null, version = version + 1 where id = ${id}`);
}

/** Removes sessions that have been over since then. */
export async function removeOldSessions(
  db: Queryable,
  { before, limit }: { before: Date; limit: number },
): Promise<number> {
  const { rowCount } = await db.query(sql`
    delete from identity.session where id in (
      select id from identity.session where expires_at < ${before} order by expires_at limit ${limit} for update skip locked)`);
  return rowCount ?? 0;
}
