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
  ip: string;
  userAgent: string | undefined;
  now: Date;
  idleExpiresAt: Date;
  expiresAt: Date;
}

/** Opens a session and notes the sign-in. */
export async function insertSession(tx: Queryable, session: NewSession): Promise<void> {
  await tx.query(sql`
    with seen as (update identity.users set last_login_at = ${session.now} where id = ${session.userId})
    insert into identity.session (user_id, token_sha256, ip, user_agent, last_seen_at, idle_expires_at, expires_at)
    values (${session.userId}, ${session.tokenSha256}, ${session.ip}, ${session.userAgent ?? null}, ${session.now},
            ${session.idleExpiresAt}, ${session.expiresAt})`);
}

export interface SessionRow {
  id: string;
  user_id: string;
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
        select s.id, s.user_id, s.mfa_at, s.last_seen_at, s.idle_expires_at, s.expires_at, s.revoked_at,
               u.email, u.display_name, u.role, u.status as user_status, u.email_verified_at
        from identity.session s join identity.users u on u.id = s.user_id
        where s.token_sha256 = ${tokenSha256} and s.kind = 'full'`,
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

/** Ends the session of a token, or with `all` every session of its user. */
export async function revokeSessions(
  tx: Queryable,
  { tokenSha256, userId, all, now }: { tokenSha256: Buffer; userId: string; all: boolean; now: Date },
): Promise<void> {
  await tx.query(sql`
    update identity.session set revoked_at = ${now}, updated_at = ${now}, version = version + 1
    where user_id = ${userId} and revoked_at is null and (${all} or token_sha256 = ${tokenSha256})`);
}
