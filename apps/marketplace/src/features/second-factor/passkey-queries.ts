import { type Queryable, sql } from '@fmhl/ops';

export interface ChallengeDraft {
  readonly challenge: string;
  /** Whose authenticator is to be registered; anyone's may sign in. */
  readonly userId: string | null;
  readonly expiresAt: Date;
}

export async function insertChallenge(db: Queryable, { challenge, userId, expiresAt }: ChallengeDraft): Promise<void> {
  await db.query(sql`
    insert into identity.passkey_challenge (challenge, purpose, user_id, expires_at)
    values (${challenge}, ${userId === null ? 'sign_in' : 'register'}, ${userId}, ${expiresAt})`);
}

/** Uses a challenge up. False when it was not given out for this, is too old, or was used before. */
export async function takeChallenge(
  db: Queryable,
  { challenge, userId, now }: { challenge: string; userId: string | null; now: Date },
): Promise<boolean> {
  const { rowCount } = await db.query(sql`
    delete from identity.passkey_challenge
    where challenge = ${challenge} and user_id is not distinct from ${userId}::uuid and expires_at > ${now}`);
  return rowCount === 1;
}

export async function deleteOldChallenges(db: Queryable, now: Date): Promise<number> {
  const { rowCount } = await db.query(sql`delete from identity.passkey_challenge where expires_at <= ${now}`);
  return rowCount ?? 0;
}

export interface PasskeyRow {
  id: string;
  user_id: string;
  credential_id: string;
  public_key: Buffer;
  sign_count: number;
  transports: string[];
  name: string;
  created_at: Date;
  last_used_at: Date | null;
}

const columns = sql`id, user_id, credential_id, public_key, sign_count, transports, name, created_at, last_used_at`;
const passkeys = sql`select ${columns} from identity.passkey`;

/** The passkeys of a user, oldest first. */
export async function passkeysOf(db: Queryable, userId: string): Promise<PasskeyRow[]> {
  const { rows } = await db.query<PasskeyRow>(sql`${passkeys} where user_id = ${userId} order by created_at, id`);
  return rows;
}

export async function passkeyByCredential(db: Queryable, credentialId: string): Promise<PasskeyRow | undefined> {
  const { rows } = await db.query<PasskeyRow>(sql`${passkeys} where credential_id = ${credentialId}`);
  return rows[0];
}

export interface PasskeyDraft {
  userId: string;
  credentialId: string;
  publicKey: Buffer;
  signCount: number;
  transports: readonly string[];
  name: string;
}

/** Undefined when the authenticator is registered already. */
export async function insertPasskey(tx: Queryable, draft: PasskeyDraft): Promise<PasskeyRow | undefined> {
  const { rows } = await tx.query<PasskeyRow>(sql`
    insert into identity.passkey (user_id, credential_id, public_key, sign_count, transports, name)
    values (${draft.userId}, ${draft.credentialId}, ${draft.publicKey}, ${draft.signCount}, ${draft.transports},
            ${draft.name})
    on conflict (credential_id) do nothing
    returning ${columns}`);
  return rows[0];
}

/**
 * Notes a use. False when the count of the authenticator does not go forward, as that of a copy would not; one that counts nothing always
 * says 0.
 */
export async function advancePasskey(
  db: Queryable,
  { id, signCount, now }: { id: string; signCount: number; now: Date },
): Promise<boolean> {
  const { rowCount } = await db.query(sql`
    update identity.passkey
    set sign_count = ${signCount}, last_used_at = ${now}, updated_at = ${now}, version = version + 1
    where id = ${id} and (sign_count < ${signCount} or (sign_count = 0 and ${signCount} = 0))`);
  return rowCount === 1;
}

export async function deletePasskey(tx: Queryable, { id, userId }: { id: string; userId: string }): Promise<boolean> {
  const { rowCount } = await tx.query(sql`delete from identity.passkey where id = ${id} and user_id = ${userId}`);
  return rowCount === 1;
}

/** False when there was none. */
export async function deletePasskeysOf(tx: Queryable, userId: string): Promise<boolean> {
  const { rowCount } = await tx.query(sql`delete from identity.passkey where user_id = ${userId}`);
  return (rowCount ?? 0) > 0;
}

export async function hasPasskey(db: Queryable, userId: string): Promise<boolean> {
  const { rows } = await db.query(sql`select from identity.passkey where user_id = ${userId} limit 1`);
  return rows.length > 0;
}
