import { type Queryable, sql } from '@fmhl/ops';
import type { Role } from '../auth/index.ts';
import type { TokenPurpose } from './mailed-token.ts';

/** Links of one purpose that one user gets within an hour; further ones are not sent. */
const mostPerHour = 3;

export interface UserTokenDraft {
  readonly userId: string;
  readonly purpose: TokenPurpose;
  readonly now: Date;
  readonly expiresAt: Date;
}

/** The new id, or undefined when the user got enough of them within the last hour. */
export async function insertUserToken(tx: Queryable, draft: UserTokenDraft): Promise<string | undefined> {
  const { userId, purpose, now, expiresAt } = draft;
  const { rows } = await tx.query<{ id: string }>(sql`
    insert into identity.user_token (user_id, purpose, expires_at, created_at)
    select ${userId}::uuid, ${purpose}::text, ${expiresAt}::timestamptz, ${now}::timestamptz
    where (select count(*) from identity.user_token t
           where t.user_id = ${userId} and t.purpose = ${purpose}
             and t.created_at > ${now}::timestamptz - interval '1 hour') < ${mostPerHour}
    returning id`);
  return rows[0]?.id;
}

export interface TokenOwner {
  readonly user_id: string;
  readonly email: string;
  readonly display_name: string;
  readonly role: Role;
  readonly email_verified_at: Date | null;
  /** Neither used nor expired, and its user may sign in. */
  readonly is_live: boolean;
}

export async function ownerOfToken(
  db: Queryable,
  { id, purpose, now }: { id: string; purpose: TokenPurpose; now: Date },
): Promise<TokenOwner | undefined> {
  const { rows } = await db.query<TokenOwner>(sql`
    select t.user_id, u.email, u.display_name, u.role, u.email_verified_at,
           t.used_at is null and t.expires_at > ${now} and u.status = 'active' as is_live
    from identity.user_token t join identity.users u on u.id = t.user_id
    where t.id = ${id} and t.purpose = ${purpose}`);
  return rows[0];
}

/** Uses a token up, and with it all others of its purpose. False when another was faster. */
export async function useUserToken(
  tx: Queryable,
  { id, userId, purpose, now }: { id: string; userId: string; purpose: TokenPurpose; now: Date },
): Promise<boolean> {
  const { rowCount } = await tx.query(sql`
    update identity.user_token set used_at = ${now} where id = ${id} and used_at is null and expires_at > ${now}`);
  if (rowCount !== 1) return false;
  await tx.query(sql`
    update identity.user_token set used_at = ${now}
    where user_id = ${userId} and purpose = ${purpose} and used_at is null`);
  return true;
}
