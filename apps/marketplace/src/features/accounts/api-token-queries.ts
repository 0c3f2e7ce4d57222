import { prepared, type Queryable, sql } from '@fmhl/ops';
import type { Role } from '../auth/index.ts';

export interface ApiTokenRow {
  id: string;
  name: string;
  scopes: string[];
  created_at: Date;
  expires_at: Date;
  last_used_at: Date | null;
  revoked_at: Date | null;
  position: string;
}

const columns = sql`
  id, name, scopes, created_at, expires_at, last_used_at, revoked_at, created_at::text as position`;

export interface ApiTokenDraft {
  userId: string;
  name: string;
  tokenSha256: Buffer;
  scopes: readonly string[];
  now: Date;
  expiresAt: Date;
}

export async function insertApiToken(tx: Queryable, draft: ApiTokenDraft): Promise<ApiTokenRow> {
  const { rows } = await tx.query<ApiTokenRow>(sql`
    insert into identity.api_token (user_id, name, token_sha256, scopes, created_at, expires_at)
    values (${draft.userId}, ${draft.name}, ${draft.tokenSha256}, ${draft.scopes}, ${draft.now}, ${draft.expiresAt})
    returning ${columns}`);
  return rows[0] as ApiTokenRow;
}

/** The tokens of a user, newest first, behind `after` (a moment and an id). */
export async function listApiTokens(
  db: Queryable,
  { userId, after, limit }: { userId: string; after: readonly [string, string] | undefined; limit: number },
): Promise<ApiTokenRow[]> {
  const { rows } = await db.query<ApiTokenRow>(sql`
    select ${columns} from identity.api_token
    where user_id = ${userId}
      ${after ? sql`and (created_at, id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
    order by created_at desc, id desc limit ${limit}`);
  return rows;
}

/** `gone` when it was revoked before; undefined when the user has no such token. */
export async function revokeApiToken(
  tx: Queryable,
  { id, userId, now }: { id: string; userId: string; now: Date },
): Promise<'revoked' | 'gone' | undefined> {
  const { rowCount } = await tx.query(sql`
    update identity.api_token set revoked_at = ${now}, updated_at = ${now}, version = version + 1
    where id = ${id} and user_id = ${userId} and revoked_at is null`);
  if (rowCount === 1) return 'revoked';
  const { rows } = await tx.query(sql`select from identity.api_token where id = ${id} and user_id = ${userId}`);
  return rows.length === 1 ? 'gone' : undefined;
}

/** Ends every token of a user, and answers how many. */
export async function revokeApiTokensOf(tx: Queryable, userId: string, now: Date): Promise<number> {
  const { rowCount } = await tx.query(sql`
    update identity.api_token set revoked_at = ${now}, updated_at = ${now}, version = version + 1
    where user_id = ${userId} and revoked_at is null`);
  return rowCount ?? 0;
}

export interface LiveApiToken {
  id: string;
  user_id: string;
  scopes: string[];
  created_at: Date;
  last_used_at: Date | null;
  display_name: string;
  role: Role;
}

/** The token of a hash while it lives and its user may sign in: two reads by unique index. */
export async function liveApiToken(db: Queryable, tokenSha256: Buffer, now: Date): Promise<LiveApiToken | undefined> {
  const { rows } = await db.query<LiveApiToken>(
    prepared(
      'api_token',
      sql`
        select t.id, t.user_id, t.scopes, t.created_at, t.last_used_at, u.display_name, u.role
        from identity.api_token t join identity.users u on u.id = t.user_id
        where t.token_sha256 = ${tokenSha256} and t.revoked_at is null and t.expires_at > ${now}
          and u.status = 'active'`,
    ),
  );
  return rows[0];
}

/** Notes a use. Of several requests of one minute the first wins. */
export async function touchApiToken(
  db: Queryable,
  { id, usedAt, now }: { id: string; usedAt: Date | null; now: Date },
): Promise<void> {
  await db.query(sql`
    update identity.api_token set last_used_at = ${now}, updated_at = ${now}, version = version + 1
    where id = ${id} and (last_used_at is null or last_used_at <= ${usedAt})`);
}
