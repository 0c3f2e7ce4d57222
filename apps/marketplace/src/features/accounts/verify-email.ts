import { type Actor, audit, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Keys } from '../../keys.ts';
import { queueMail } from '../email/index.ts';
import { mailLink } from './mail-link.ts';
import { readMailedToken, unknownToken } from './mailed-token.ts';
import { tellUser } from './user-events.ts';
import { markVerified, userById } from './user-queries.ts';
import { ownerOfToken, type TokenOwner, useUserToken } from './user-token-queries.ts';

/** Makes the waiting provider of a user active. The composition gives it, as providers belong to a feature beside this one. */
export type ActivateProvider = (tx: Tx, userId: string) => Promise<unknown>;

/** Mails a link that verifies the address of a user. Does nothing when they got three within an hour. */
export async function mailVerification(
  tx: Tx,
  { userId, email, now }: { userId: string; email: string; now: Date },
): Promise<void> {
  const template = 'verify_email';
  await mailLink(
    tx,
    { userId, email, hours: 24, now },
    { purpose: template, mail: (token_id) => ({ template, variables: { token_id } }) },
  );
}

/** Mails a link once more to a user whose address is not verified. */
export async function resendVerification(tx: Tx, { userId, now }: { userId: string; now: Date }): Promise<void> {
  const user = await userById(tx, userId);
  if (user && !user.email_verified_at) await mailVerification(tx, { userId, email: user.email, now });
}

/**
 * Takes the click on a link; again: nothing changes. The address counts as verified, and the provider of the user becomes active.
 * Refuses `token_invalid` (400) for a token we did not make, `expired` for a link that is too old.
 */
export async function verifyEmail(
  tx: Tx,
  { token, now }: { token: string; now: Date },
  deps: { keys: Keys; activateProvider: ActivateProvider },
): Promise<void> {
  const purpose = 'verify_email';
  const id = readMailedToken(deps.keys, token, purpose);
  if (id === undefined) throw unknownToken();
  const owner = await ownerOfToken(tx, { id, purpose, now });
  if (!owner) throw refuse('expired');
  if (owner.email_verified_at) return;
  const isMine = owner.is_live && (await useUserToken(tx, { id, userId: owner.user_id, purpose, now }));
  if (isMine) return settleVerified(tx, owner, now, deps);
  // Of two clicks at once the second waited for the first.
  if (!(await userById(tx, owner.user_id))?.email_verified_at) throw refuse('expired');
}

/** What follows from a verified address, whichever link proved it. Does nothing when it was verified before. */
export async function settleVerified(
  tx: Tx,
  owner: TokenOwner,
  now: Date,
  { activateProvider }: { activateProvider: ActivateProvider },
): Promise<void> {
  const { user_id: userId, email, role } = owner;
  const version = await markVerified(tx, userId, now);
  if (version === undefined) return;
  await tellUser(tx, { type: 'user.email_verified', userId, version });
  await audit(tx, { actor: selfOf(owner), action: 'user.email_verified', targetType: 'user', targetId: userId });
  if (role !== 'provider') return;
  await activateProvider(tx, userId);
  const related = { type: 'user', id: userId };
  await queueMail(tx, { template: 'welcome', variables: {}, to: email, dedupeKey: `welcome:${userId}`, related });
}

/** Whoever holds a link acts as its owner. */
export function selfOf({ user_id, display_name }: TokenOwner): Actor {
  return { id: user_id, name: display_name, via: 'http' };
}
