import type { Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Keys } from '../../keys.ts';
import type { Log } from '../../log.ts';
import { deleteTotpSecret, lockTotpSecret, putTotpSecret, resealTotpSecret, takeStep } from './queries.ts';
import { createTotpSecret, otpauthUrl, totpStep } from './totp.ts';

export const purpose = 'totp-secret';

/** Makes a secret that counts once {@link confirmTotp} has seen a code of it. Refuses `already_enrolled`. */
export async function enrolTotp(
  tx: Tx,
  { userId, email, now }: { userId: string; email: string; now: Date },
  { keys }: { keys: Keys },
): Promise<{ secret: string; otpauthUrl: string }> {
  const secret = createTotpSecret();
  const isPut = await putTotpSecret(tx, { userId, sealed: keys.seal(purpose, secret), confirmedAt: null, now });
  if (!isPut) throw refuse('already_enrolled');
  return { secret, otpauthUrl: otpauthUrl(secret, email) };
}

/** Gives a user a secret known from elsewhere, as confirmed. False when they have a confirmed one, which stays. */
export async function provisionTotp(
  tx: Tx,
  { userId, secret, now }: { userId: string; secret: string; now: Date },
  { keys }: { keys: Keys },
): Promise<boolean> {
  return putTotpSecret(tx, { userId, sealed: keys.seal(purpose, secret), confirmedAt: now, now });
}

/** Whether the code is of the secret that waits for its first. Refuses `not_enrolled` and `already_enrolled`. */
export async function confirmTotp(tx: Tx, shown: ShownCode, deps: CodeDeps): Promise<boolean> {
  const row = await lockTotpSecret(tx, shown.userId);
  if (!row) throw refuse('not_enrolled');
  if (row.confirmed_at) throw refuse('already_enrolled');
  return useCode(tx, shown, row.secret_sealed, deps);
}

/**
 * Whether the code is right. Each works once, also when it is shown twice at the same time; false without a confirmed secret, and, with a
 * line in the log, for one that opens with no key of ours.
 */
export async function verifyTotp(tx: Tx, shown: ShownCode, deps: CodeDeps): Promise<boolean> {
  const row = await lockTotpSecret(tx, shown.userId);
  return row?.confirmed_at ? useCode(tx, shown, row.secret_sealed, deps) : false;
}

/** Refuses `not_enrolled`. */
export async function removeTotp(tx: Tx, userId: string): Promise<void> {
  if (!(await deleteTotpSecret(tx, userId))) throw refuse('not_enrolled');
}

interface CodeDeps {
  readonly keys: Keys;
  readonly log: Log;
}

export interface ShownCode {
  readonly userId: string;
  readonly code: string;
  readonly now: Date;
}

async function useCode(
  tx: Tx,
  { userId, code, now }: ShownCode,
  sealed: string,
  { keys, log }: CodeDeps,
): Promise<boolean> {
  const secret = opened(userId, sealed, { keys, log });
  if (secret === undefined) return false;
  const step = totpStep(secret, code, now);
  if (step === undefined || !(await takeStep(tx, { userId, step, now }))) return false;
  if (keys.isOutdated(sealed)) await resealTotpSecret(tx, userId, keys.seal(purpose, secret));
  return true;
}

/** Undefined for what was sealed by a key that is gone: its owner is refused like for a wrong code, and the operator reads why. */
function opened(userId: string, sealed: string, { keys, log }: CodeDeps): string | undefined {
  try {
    return keys.open(purpose, sealed);
  } catch (error) {
    log.error('second_factor_unreadable', error, { user_id: userId });
    return undefined;
  }
}
