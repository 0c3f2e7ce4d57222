import { type Database, sql } from '@fmhl/ops';
import type { Keys } from '../../keys.ts';
import { purpose } from './totp-factor.ts';

/** Seals every TOTP secret of the previous key with the current one. Answers how many. Throws when one opens with neither key. */
export async function resealSecrets(db: Database, keys: Keys): Promise<number> {
  const { rows } = await db.query<{ user_id: string; secret_sealed: string }>(
    sql`select user_id, secret_sealed from identity.totp_secret order by user_id`,
  );
  let resealed = 0;
  for (const { user_id: userId, secret_sealed: sealed } of rows.filter((row) => keys.isOutdated(row.secret_sealed))) {
    const anew = keys.seal(purpose, keys.open(purpose, sealed));
    // Who enrolled anew in the meantime keeps that.
    const { rowCount } = await db.query(sql`
      update identity.totp_secret set secret_sealed = ${anew} where user_id = ${userId} and secret_sealed = ${sealed}`);
    resealed += rowCount;
  }
  return resealed;
}
