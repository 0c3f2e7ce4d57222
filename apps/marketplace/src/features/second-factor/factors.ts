import type { Queryable, Tx } from '@fmhl/ops';
import { hasTotp, replaceRecoveryCodes, unusedRecoveryCodes } from './queries.ts';
import { removeTotp } from './totp-factor.ts';

export type Factor = 'totp' | 'recovery_code' | 'passkey';

/** What a user can show beside the password, best first. Nobody has a recovery code alone. */
export async function factorsOf(db: Queryable, userId: string): Promise<Factor[]> {
  if (!(await hasTotp(db, userId))) return [];
  const codes = await unusedRecoveryCodes(db, userId);
  return codes.length > 0 ? ['totp', 'recovery_code'] : ['totp'];
}

/** Takes the secret and the recovery codes away. Refuses `not_enrolled`. */
export async function removeSecondFactor(tx: Tx, userId: string): Promise<void> {
  await removeTotp(tx, userId);
  await replaceRecoveryCodes(tx, userId, []);
}
