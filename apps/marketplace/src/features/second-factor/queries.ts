import { type Queryable, sql } from '@fmhl/ops';

export interface TotpSecretRow {
  secret_sealed: string;
  confirmed_at: Date | null;
}

/** The secret, its row locked until the transaction ends. */
export async function lockTotpSecret(tx: Queryable, userId: string): Promise<TotpSecretRow | undefined> {
  const { rows } = await tx.query<TotpSecretRow>(
    sql`select secret_sealed, confirmed_at from identity.totp_secret where user_id = ${userId} for update`,
  );
  return rows[0];
}

/** Sets the secret; one that is not confirmed gives way. False when there is one that is. */
export async function putTotpSecret(
  tx: Queryable,
  { userId, sealed, confirmedAt, now }: { userId: string; sealed: string; confirmedAt: Date | null; now: Date },
): Promise<boolean> {
  const { rowCount } = await tx.query(sql`
    insert into identity.totp_secret as t (user_id, secret_sealed, confirmed_at) values (${userId}, ${sealed}, ${confirmedAt})
    on conflict (user_id) do update
      set secret_sealed = excluded.secret_sealed, confirmed_at = excluded.confirmed_at, updated_at = ${now}
      where t.confirmed_at is null`);
  return rowCount === 1;
}

/** Takes a step for good; false when it, or a later one, was taken before. */
export async function takeStep(
  tx: Queryable,
  { userId, step, now }: { userId: string; step: number; now: Date },
): Promise<boolean> {
  const { rowCount } = await tx.query(sql`
    update identity.totp_secret
    set last_used_step = ${step}, confirmed_at = coalesce(confirmed_at, ${now}), updated_at = ${now}
    where user_id = ${userId} and last_used_step < ${step}`);
  return rowCount === 1;
}

/** Seals a secret anew, when the key has changed since. */
export async function resealTotpSecret(tx: Queryable, userId: string, sealed: string): Promise<void> {
  await tx.query(sql`update identity.totp_secret set secret_sealed = ${sealed} where user_id = ${userId}`);
}

export async function deleteTotpSecret(tx: Queryable, userId: string): Promise<boolean> {
  const { rowCount } = await tx.query(sql`
    delete from identity.totp_secret where user_id = ${userId} and confirmed_at is not null`);
  return rowCount === 1;
}

/** Also one that waits for its first code. */
export async function deleteAnyTotpSecret(tx: Queryable, userId: string): Promise<boolean> {
  const { rowCount } = await tx.query(sql`delete from identity.totp_secret where user_id = ${userId}`);
  return rowCount === 1;
}

/** Replaces all recovery codes of a user. */
export async function replaceRecoveryCodes(tx: Queryable, userId: string, hashes: readonly string[]): Promise<void> {
  await tx.query(sql`delete from identity.recovery_code where user_id = ${userId}`);
  await tx.query(sql`
    insert into identity.recovery_code (user_id, code_hash) select ${userId}, unnest(${hashes}::text[])`);
}

export async function unusedRecoveryCodes(tx: Queryable, userId: string): Promise<string[]> {
  const { rows } = await tx.query<{ code_hash: string }>(
    sql`select code_hash from identity.recovery_code where user_id = ${userId} and used_at is null`,
  );
  return rows.map(({ code_hash }) => code_hash);
}

/** False when another was faster. */
export async function markRecoveryCodeUsed(
  tx: Queryable,
  { userId, codeHash, now }: { userId: string; codeHash: string; now: Date },
): Promise<boolean> {
  const { rowCount } = await tx.query(sql`
    update identity.recovery_code set used_at = ${now}
    where user_id = ${userId} and code_hash = ${codeHash} and used_at is null`);
  return rowCount === 1;
}

export async function hasTotp(db: Queryable, userId: string): Promise<boolean> {
  const { rows } = await db.query(
    sql`select from identity.totp_secret where user_id = ${userId} and confirmed_at is not null`,
  );
  return rows.length === 1;
}
