import { audit, type Database, type Tx } from '@fmhl/ops';
import { normaliseEmail } from '../../email-address.ts';
import { refuse } from '../../errors.ts';
import type { Keys } from '../../keys.ts';
import type { Log } from '../../log.ts';
import { type Factor, factorsOf } from '../second-factor/index.ts';
import { admitAttempt, type Attempt, forgetAttempt, forgiveFailures, passwordAttempt } from './attempts.ts';
import type { User } from './contract.ts';
import { isHashable } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import { noteSignIn, userByEmail, type UserRow } from './queries.ts';
import { type Client, type OpenedSession, openSession } from './sessions.ts';

export interface LoginDeps {
  db: Database;
  passwords: Passwords;
  keys: Keys;
  log: Log;
  now: () => Date;
}

export interface Credentials extends Client {
  email: string;
  password: string;
}

export interface SignedIn extends OpenedSession {
  user: User;
  /** What may be shown as second factor; empty where there is none, and the session is a full one. */
  methods: readonly Factor[];
}

/**
 * Opens a session: a full one, or one that waits for the second factor of who has one. Refuses `invalid_credentials`, in equal words
 * and time whether the address, the password or the account is at fault, and `rate_limited`.
 */
export async function login({ email, password, ...client }: Credentials, deps: LoginDeps): Promise<SignedIn> {
  const { db, passwords, keys, now } = deps;
  if (!isHashable(password) || !isHashable(email)) throw refuse('invalid_credentials');
  const emailNorm = normaliseEmail(email);
  const attempt = passwordAttempt(emailNorm, client.ip, keys);
  const attemptId = await admitAttempt(db, attempt, now());
  const user = await userByEmail(db, emailNorm);
  const isTheirs = await passwords.matches(password, user?.password_hash).catch(async (error: unknown) => {
    await forgetAttempt(db, attemptId);
    throw error;
  });
  if (!user || !isTheirs || user.status !== 'active') return refuseSignIn(user, isTheirs, deps);
  return db.transaction((tx) => begin(tx, { user, client, attempt, attemptId }, deps));
}

/** Writes down who was refused and why, for those who may read it; the caller is told neither. */
async function refuseSignIn(user: UserRow | undefined, isTheirs: boolean, { db, log }: LoginDeps): Promise<never> {
  const reason = reasonOf(user, isTheirs);
  await db.transaction((tx) =>
    audit(tx, {
      actor: { id: 'anonymous', name: 'anonymous', via: 'http' },
      action: 'auth.sign_in_refused',
      targetType: 'user',
      targetId: user?.id ?? 'unknown',
      details: { reason },
    }),
  );
  log.info('sign_in_refused', { reason, user_id: user?.id });
  throw refuse('invalid_credentials');
}

function reasonOf(user: UserRow | undefined, isTheirs: boolean): string {
  if (!user) return 'unknown_user';
  return isTheirs ? 'disabled' : 'wrong_password';
}

async function begin(
  tx: Tx,
  { user, client, attempt, attemptId }: { user: UserRow; client: Client; attempt: Attempt; attemptId: string },
  { log, now }: LoginDeps,
): Promise<SignedIn> {
  const methods = await factorsOf(tx, user.id);
  const kind = methods.length > 0 ? 'mfa_pending' : 'full';
  const opened = await openSession(tx, user, { ...client, kind, now: now() });
  if (kind === 'full') {
    await forgiveFailures(tx, attempt);
    await recordSignIn(tx, { id: user.id, name: user.display_name, role: user.role }, { log, now: now() });
  } else await forgetAttempt(tx, attemptId);
  return { ...opened, user: publicUser(user), methods };
}

/** Notes, audits and logs a sign-in that is complete. `method`: what was shown beside the password. */
export async function recordSignIn(
  tx: Tx,
  user: { id: string; name: string; role: string },
  { log, now, method }: { log: Log; now: Date; method?: Factor },
): Promise<void> {
  await noteSignIn(tx, user.id, now);
  const actor = { id: user.id, name: user.name, via: 'http' } as const;
  const details = { second_factor: method ?? 'none' };
  await audit(tx, { actor, action: 'auth.signed_in', targetType: 'user', targetId: user.id, details });
  tx.afterCommit(() => log.info('user_signed_in', { user_id: user.id, role: user.role, ...details }));
}

export function publicUser(row: Pick<UserRow, 'id' | 'email' | 'display_name' | 'role' | 'email_verified_at'>): User {
  const { id, email, display_name, role } = row;
  return { id, email, display_name, role, email_verified: row.email_verified_at !== null };
}
