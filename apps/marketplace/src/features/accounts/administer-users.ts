import { type Actor, audit, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { createUser, revokeUserSessions } from '../auth/index.ts';
import { revokeApiTokensOf } from './api-token-queries.ts';
import type { StaffRole } from './contract.ts';
import { mailReset } from './reset-password.ts';
import { tellUser } from './user-events.ts';
import {
  hasOtherActiveAdmin,
  lockAdmins,
  lockUser,
  setRole,
  setStatus,
  userById,
  type UserRow,
} from './user-queries.ts';

/** Stops, or lets go on, the provider of a user, if they have one. The composition gives them, as providers belong to a feature beside this one. */
export interface ProviderSwitch {
  readonly suspendProvider: (tx: Tx, userId: string) => Promise<unknown>;
  readonly reinstateProvider: (tx: Tx, userId: string) => Promise<unknown>;
}

export interface UserDraft {
  readonly email: string;
  readonly role: StaffRole;
  readonly displayName: string;
  /** Of a password that nobody knows: the user chooses theirs by the mailed link. */
  readonly passwordHash: string;
}

/** Adds a member of staff, who gets a link to choose a password. Refuses `email_taken`. */
export async function addUser(
  tx: Tx,
  { draft, actor, now }: { draft: UserDraft; actor: Actor; now: Date },
  deps: { log: Log },
): Promise<UserRow> {
  const userId = await createUser(tx, { ...draft, emailVerified: false }, deps);
  if (userId === undefined) throw refuse('email_taken');
  const details = { role: draft.role };
  await audit(tx, { actor, action: 'user.created', targetType: 'user', targetId: userId, details });
  await mailReset(tx, { userId, email: draft.email, isNew: true, now });
  return presentUser(tx, userId);
}

export interface Changed {
  readonly user: UserRow;
  readonly changed: boolean;
}

/**
 * Gives a member of staff another role, which counts from their next request on. Refuses `not_found`, `invalid_state` for a provider, and
 * `last_admin`.
 */
export async function changeRole(
  tx: Tx,
  { userId, role, actor, memo }: { userId: string; role: StaffRole; actor: Actor; memo: string | undefined },
): Promise<Changed> {
  await lockAdmins(tx);
  const user = await lockedUser(tx, userId);
  if (user.role === 'provider') throw refuse('invalid_state', { role: user.role });
  if (user.role === role) return { user, changed: false };
  await refuseLastAdmin(tx, user);
  await setRole(tx, userId, role);
  const details = { from: user.role, to: role };
  const target = { targetType: 'user', targetId: userId };
  await audit(tx, { actor, action: 'user.role_changed', ...target, reason: memo, details });
  return { user: await presentUser(tx, userId), changed: true };
}

interface UserAct {
  readonly userId: string;
  readonly actor: Actor;
  readonly memo: string;
  readonly now: Date;
}

/**
 * Locks a user out: their sessions and API tokens end in this commit, and their provider is suspended. Refuses `not_found`,
 * `own_account` and `last_admin`.
 */
export async function disableUser(
  tx: Tx,
  { userId, actor, memo, now }: UserAct,
  { suspendProvider }: ProviderSwitch,
): Promise<Changed> {
  if (userId === actor.id) throw refuse('own_account');
  await lockAdmins(tx);
  const user = await lockedUser(tx, userId);
  if (user.status === 'disabled') return { user, changed: false };
  await refuseLastAdmin(tx, user);
  const version = await setStatus(tx, userId, 'disabled');
  // The account before the sessions, as whoever suspends the provider by itself locks them.
  await suspendProvider(tx, userId);
  const details = await endAccess(tx, userId, now);
  await tellUser(tx, { type: 'user.disabled', userId, version });
  await audit(tx, { actor, action: 'user.disabled', targetType: 'user', targetId: userId, reason: memo, details });
  return { user: await presentUser(tx, userId), changed: true };
}

/** Ends all sessions and API tokens of a user, and answers how many of each. */
export async function endAccess(tx: Tx, userId: string, now: Date): Promise<{ sessions: number; tokens: number }> {
  return {
    sessions: await revokeUserSessions(tx, userId, { now }),
    tokens: await revokeApiTokensOf(tx, userId, now),
  };
}

/** Lets a disabled user sign in again. What was ended stays so. Refuses `not_found`. */
export async function enableUser(
  tx: Tx,
  { userId, actor, memo }: UserAct,
  { reinstateProvider }: ProviderSwitch,
): Promise<Changed> {
  const user = await lockedUser(tx, userId);
  if (user.status === 'active') return { user, changed: false };
  const version = await setStatus(tx, userId, 'active');
  await reinstateProvider(tx, userId);
  await tellUser(tx, { type: 'user.enabled', userId, version });
  await audit(tx, { actor, action: 'user.enabled', targetType: 'user', targetId: userId, reason: memo });
  return { user: await presentUser(tx, userId), changed: true };
}

/** Ends all sessions of a user, and answers how many. API tokens stay. Refuses `not_found`. */
export async function endUserSessions(tx: Tx, { userId, actor, memo, now }: UserAct): Promise<number> {
  await lockedUser(tx, userId);
  const sessions = await revokeUserSessions(tx, userId, { now });
  const target = { targetType: 'user', targetId: userId };
  await audit(tx, { actor, action: 'user.sessions_revoked', ...target, reason: memo, details: { sessions } });
  return sessions;
}

async function refuseLastAdmin(tx: Tx, user: UserRow): Promise<void> {
  const isActiveAdmin = user.role === 'admin' && user.status === 'active';
  if (isActiveAdmin && !(await hasOtherActiveAdmin(tx, user.id))) throw refuse('last_admin');
}

async function lockedUser(tx: Tx, id: string): Promise<UserRow> {
  const user = await lockUser(tx, id);
  if (!user) throw refuse('not_found');
  return user;
}

async function presentUser(tx: Tx, id: string): Promise<UserRow> {
  const user = await userById(tx, id);
  if (!user) throw refuse('not_found');
  return user;
}
