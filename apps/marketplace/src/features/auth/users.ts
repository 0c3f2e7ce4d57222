import { type Actor, appendEvents, audit, type Database, systemActor, type Tx } from '@fmhl/ops';
import { normaliseEmail } from '../../email-address.ts';
import { refuse } from '../../errors.ts';
import type { Keys } from '../../keys.ts';
import type { Log } from '../../log.ts';
import { readableCode } from '../../readable-code.ts';
import { provisionTotp } from '../second-factor/index.ts';
import type { Role } from './contract.ts';
import { passwordFault } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import { adminExists, insertUser, lockFirstAdmin, userByEmail } from './queries.ts';
import { revokeUserSessions } from './sessions.ts';

/** Hashes a password someone chose, after its rules. Before a transaction, not in it: hashes wait for each other. */
export async function hashChosenPassword(
  input: { password: string; email: string; company?: string },
  { passwords }: { passwords: Passwords },
): Promise<string> {
  const fault = passwordFault(input.password, input);
  if (fault) throw refuse('validation_failed', { faults: [{ at: 'body.password', message: fault }] });
  return passwords.hash(input.password);
}

export interface UserDraft {
  email: string;
  passwordHash: string;
  displayName: string;
  role: Role;
  emailVerified: boolean;
  /** Time zone, told to those who react to `user.registered`. */
  tz?: string;
}

/** Adds a user with the event `user.registered`. Undefined when the address has an account; the caller decides who may know. */
export async function createUser(tx: Tx, draft: UserDraft, { log }: { log: Log }): Promise<string | undefined> {
  const { email, role, displayName, tz = 'UTC' } = draft;
  const userId = await insertUser(tx, { ...draft, emailNorm: normaliseEmail(email) });
  if (userId === undefined) return undefined;
  await appendEvents(tx, [
    {
      stream: 'identity',
      type: 'user.registered',
      aggregateType: 'user',
      aggregateId: userId,
      aggregateVersion: 1,
      payload: { user_id: userId, role, display_name: displayName, tz },
    },
  ]);
  tx.afterCommit(() => log.info('user_registered', { user_id: userId, role }));
  return userId;
}

/** What an administrator signs in with. Without a password one is made; without a TOTP secret they enrol one at their first sign-in. */
export interface AdminDraft {
  email: string;
  password?: string | undefined;
  /** Base32. */
  totpSecret?: string | undefined;
}

export interface AdminDeps {
  passwords: Passwords;
  keys: Keys;
  log: Log;
  now: () => Date;
}

/**
 * Adds the first admin, with a password made for them when none is given. Where there is an admin it only gives a second factor to who
 * is named and has none, so every start may call it. Refuses `validation_failed` for a weak password and `email_taken` when the address
 * is another user's.
 */
export async function createFirstAdmin(
  db: Database,
  draft: AdminDraft,
  deps: AdminDeps,
): Promise<{ created: boolean; password?: string }> {
  if (await adminExists(db)) {
    await db.transaction((tx) => provisionLater(tx, draft, deps));
    return { created: false };
  }
  const password = draft.password ?? readablePassword();
  const passwordHash = await hashChosenPassword({ password, email: draft.email }, deps);
  const created = await db.transaction(async (tx) => {
    await lockFirstAdmin(tx);
    if (await adminExists(tx)) return false;
    await insertAdmin(tx, { ...draft, passwordHash, actor: systemActor }, deps);
    return true;
  });
  if (!created) return { created };
  return draft.password === undefined ? { created, password } : { created };
}

/**
 * Adds an admin beside those there are, for a person who may write to the database. Answers the password when it made one.
 * Refuses `validation_failed` for a weak password and `email_taken`.
 */
export async function createAdmin(
  db: Database,
  { actor, ...draft }: AdminDraft & { actor: Actor },
  deps: AdminDeps,
): Promise<{ password?: string }> {
  const password = draft.password ?? readablePassword();
  const passwordHash = await hashChosenPassword({ password, email: draft.email }, deps);
  await db.transaction((tx) => insertAdmin(tx, { ...draft, passwordHash, actor }, deps));
  return draft.password === undefined ? { password } : {};
}

async function insertAdmin(
  tx: Tx,
  { email, totpSecret, passwordHash, actor }: AdminDraft & { passwordHash: string; actor: Actor },
  deps: AdminDeps,
): Promise<void> {
  const whoTheyAre = { displayName: 'Administrator', role: 'admin', emailVerified: true } as const;
  const userId = await createUser(tx, { email: email.trim(), passwordHash, ...whoTheyAre }, deps);
  if (userId === undefined) throw refuse('email_taken');
  const details = { role: 'admin' };
  await audit(tx, { actor, action: 'user.created', targetType: 'user', targetId: userId, details });
  if (totpSecret !== undefined) await provision(tx, { userId, totpSecret, actor }, deps);
}

/** The secret was given after the first start. Whoever signed in without one has to show it. */
async function provisionLater(tx: Tx, { email, totpSecret }: AdminDraft, deps: AdminDeps): Promise<void> {
  if (totpSecret === undefined) return;
  const user = await userByEmail(tx, normaliseEmail(email));
  if (user?.role !== 'admin') return;
  const isNew = await provision(tx, { userId: user.id, totpSecret, actor: systemActor }, deps);
  if (isNew) await revokeUserSessions(tx, user.id, { now: deps.now() });
}

async function provision(
  tx: Tx,
  { userId, totpSecret, actor }: { userId: string; totpSecret: string; actor: Actor },
  { keys, now }: AdminDeps,
): Promise<boolean> {
  const isNew = await provisionTotp(tx, { userId, secret: totpSecret, now: now() }, { keys });
  if (!isNew) return false;
  const details = { method: 'totp', provisioned: true };
  const action = 'auth.second_factor_enrolled';
  await audit(tx, { actor, action, targetType: 'user', targetId: userId, details });
  return true;
}

/** A password made for someone, easy to type over: four groups of five, 99 bits. */
export function readablePassword(): string {
  return readableCode(4);
}
