import { audit, type Database, type Tx } from '@fmhl/ops';
import { normaliseEmail } from '../../email-address.ts';
import { refuse } from '../../errors.ts';
import type { Keys } from '../../keys.ts';
import type { Log } from '../../log.ts';
import { hashChosenPassword, type Passwords, revokeUserSessions } from '../auth/index.ts';
import { queueMail } from '../email/index.ts';
import { revokeApiTokensOf } from './api-token-queries.ts';
import { mailLink } from './mail-link.ts';
import { readMailedToken, unknownToken } from './mailed-token.ts';
import { tellUser } from './user-events.ts';
import { activeUserByEmail, setPassword } from './user-queries.ts';
import { ownerOfToken, type TokenOwner, useUserToken } from './user-token-queries.ts';
import { type ActivateProvider, selfOf, settleVerified } from './verify-email.ts';

export interface ResetDeps {
  db: Database;
  keys: Keys;
  log: Log;
  passwords: Passwords;
  activateProvider: ActivateProvider;
  now: () => Date;
}

/** Mails a link with which a user chooses a password: good for an hour, and for three days to someone an admin added. */
export async function mailReset(
  tx: Tx,
  { userId, email, isNew, now }: { userId: string; email: string; isNew: boolean; now: Date },
): Promise<void> {
  const hours = isNew ? 72 : 1;
  const template = 'reset_password';
  await mailLink(
    tx,
    { userId, email, hours, now },
    { purpose: template, mail: (token_id) => ({ template, variables: { token_id, hours, is_new: isNew } }) },
  );
}

/** The same for an address, if it is that of a user who may sign in; to the caller it looks the same if not. */
export async function forgotPassword(email: string, { db, now }: Pick<ResetDeps, 'db' | 'now'>): Promise<void> {
  const emailNorm = normaliseEmail(email);
  if (emailNorm.includes('\u0000') || !emailNorm.isWellFormed()) return;
  await db.transaction(async (tx) => {
    const user = await activeUserByEmail(tx, emailNorm);
    if (user) await mailReset(tx, { userId: user.id, email: user.email, isNew: false, now: now() });
  });
}

/**
 * Sets the password of the owner of a link, ends all their sessions and API tokens and tells them by mail. The link came by mail, so it
 * verifies the address too. The second factor stays as it is. Refuses `token_invalid` (400), `expired` for a link that is too old or was used, and
 * `validation_failed` for a weak password.
 */
export async function resetPassword(
  { token, password }: { token: string; password: string },
  deps: ResetDeps,
): Promise<void> {
  const { db, keys, log, now } = deps;
  const purpose = 'reset_password';
  const id = readMailedToken(keys, token, purpose);
  if (id === undefined) throw unknownToken();
  const owner = await ownerOfToken(db, { id, purpose, now: now() });
  if (!owner?.is_live) throw refuse('expired');
  const passwordHash = await hashChosenPassword({ password, email: owner.email }, deps);
  await db.transaction(async (tx) => {
    const userId = owner.user_id;
    if (!(await useUserToken(tx, { id, userId, purpose, now: now() }))) throw refuse('expired');
    await settleVerified(tx, owner, now(), deps);
    await changePassword(tx, { owner, passwordHash, now: now() });
    await tellOwner(tx, owner, id);
    tx.afterCommit(() => log.info('password_reset', { user_id: userId }));
  });
}

async function changePassword(
  tx: Tx,
  { owner, passwordHash, now }: { owner: TokenOwner; passwordHash: string; now: Date },
): Promise<void> {
  const userId = owner.user_id;
  const version = await setPassword(tx, userId, passwordHash);
  const details = {
    sessions: await revokeUserSessions(tx, userId, { now }),
    tokens: await revokeApiTokensOf(tx, userId, now),
  };
  await tellUser(tx, { type: 'user.password_changed', userId, version });
  const target = { targetType: 'user', targetId: userId };
  await audit(tx, { actor: selfOf(owner), action: 'user.password_changed', ...target, details });
}

async function tellOwner(tx: Tx, { user_id, email }: TokenOwner, tokenId: string): Promise<void> {
  const related = { type: 'user', id: user_id };
  const dedupeKey = `password_changed:${tokenId}`;
  await queueMail(tx, { template: 'password_changed', variables: {}, to: email, dedupeKey, related });
}
