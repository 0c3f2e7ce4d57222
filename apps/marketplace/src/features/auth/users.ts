import { randomInt } from 'node:crypto';
import { type Actor, appendEvents, audit, type Database, systemActor, type Tx } from '@fmhl/ops';
import { normaliseEmail } from '../../email-address.ts';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Role } from './contract.ts';
import { passwordFault } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import { adminExists, insertUser, lockFirstAdmin } from './queries.ts';

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

/**
 * Adds the first admin, with a password made for them when none is given. Does nothing when there is an admin, so every start
 * may call it. Refuses `validation_failed` for a weak password and `email_taken` when the address is another user's.
 */
export async function createFirstAdmin(
  db: Database,
  { email, password }: { email: string; password?: string | undefined },
  deps: { passwords: Passwords; log: Log },
): Promise<{ created: boolean; password?: string }> {
  if (await adminExists(db)) return { created: false };
  const chosen = password ?? readablePassword();
  const passwordHash = await hashChosenPassword({ password: chosen, email }, deps);
  const created = await db.transaction(async (tx) => {
    await lockFirstAdmin(tx);
    if (await adminExists(tx)) return false;
    await insertAdmin(tx, { email, passwordHash, actor: systemActor }, deps);
    return true;
  });
  if (!created) return { created };
  return password === undefined ? { created, password: chosen } : { created };
}

/**
 * Adds an admin beside those there are, for a person who may write to the database. Answers the password when it made one.
 * Refuses `validation_failed` for a weak password and `email_taken`.
 */
export async function createAdmin(
  db: Database,
  { email, password, actor }: { email: string; password?: string | undefined; actor: Actor },
  deps: { passwords: Passwords; log: Log },
): Promise<{ password?: string }> {
  const chosen = password ?? readablePassword();
  const passwordHash = await hashChosenPassword({ password: chosen, email }, deps);
  await db.transaction((tx) => insertAdmin(tx, { email, passwordHash, actor }, deps));
  return password === undefined ? { password: chosen } : {};
}

async function insertAdmin(
  tx: Tx,
  { email, passwordHash, actor }: { email: string; passwordHash: string; actor: Actor },
  deps: { log: Log },
): Promise<void> {
  const whoTheyAre = { displayName: 'Administrator', role: 'admin', emailVerified: true } as const;
  const userId = await createUser(tx, { email: email.trim(), passwordHash, ...whoTheyAre }, deps);
  if (userId === undefined) throw refuse('email_taken');
  const details = { role: 'admin' };
  await audit(tx, { actor, action: 'user.created', targetType: 'user', targetId: userId, details });
}

/** Letters and digits that no one mistakes for another when typing them over. */
const readable = 'abcdefghjkmnpqrstuvwxyz23456789';

/** A password made for someone, easy to type over: four groups of five, 99 bits, such as `k3m8p-…`. */
export function readablePassword(): string {
  const group = () => Array.from({ length: 5 }, () => readable[randomInt(readable.length)]).join('');
  return Array.from({ length: 4 }, group).join('-');
}
