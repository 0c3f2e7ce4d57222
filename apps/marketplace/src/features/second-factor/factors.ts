import type { Queryable, Tx } from '@fmhl/ops';
import { deletePasskeysOf, hasPasskey } from './passkey-queries.ts';
import { deleteAnyTotpSecret, hasTotp, replaceRecoveryCodes, unusedRecoveryCodes } from './queries.ts';
import { removeTotp } from './totp-factor.ts';

export type Factor = 'totp' | 'recovery_code' | 'passkey';

/** What a user can show beside the password, best first. Nobody has a recovery code alone. */
export async function factorsOf(db: Queryable, userId: string): Promise<Factor[]> {
  const passkey: Factor[] = (await hasPasskey(db, userId)) ? ['passkey'] : [];
  if (!(await hasTotp(db, userId))) return passkey;
  const codes = await unusedRecoveryCodes(db, userId);
  return [...passkey, 'totp', ...(codes.length > 0 ? (['recovery_code'] as const) : [])];
}

/** Takes the secret and the recovery codes away. Refuses `not_enrolled`. */
export async function removeSecondFactor(tx: Tx, userId: string): Promise<void> {
  await removeTotp(tx, userId);
  await replaceRecoveryCodes(tx, userId, []);
}

/** Takes every factor of a user away, also one that waits for its first code. Answers which there were. */
export async function removeAllFactors(tx: Tx, userId: string): Promise<('totp' | 'passkey')[]> {
  const hadTotp = await deleteAnyTotpSecret(tx, userId);
  await replaceRecoveryCodes(tx, userId, []);
  const hadPasskey = await deletePasskeysOf(tx, userId);
  return [...(hadTotp ? (['totp'] as const) : []), ...(hadPasskey ? (['passkey'] as const) : [])];
}
