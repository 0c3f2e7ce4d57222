import { audit, type Database } from '@fmhl/ops';
import { normaliseEmail } from '../../email-address.ts';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { User } from './contract.ts';
import { isHashable } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import { insertSession, userByEmail, type UserRow } from './queries.ts';
import { idleExpiry, sessionTerms } from './session-rules.ts';
import { createToken, sha256Of } from './token.ts';

export interface LoginDeps {
  db: Database;
  passwords: Passwords;
  log: Log;
  now: () => Date;
}

export interface Credentials {
  email: string;
  password: string;
  ip: string;
  userAgent: string | undefined;
}

/**
 * Opens a session. The token is answered once and never stored. Refuses `invalid_credentials`, in equal time whether the
 * address, the password or the account is at fault.
 */
export async function login(
  { email, password, ip, userAgent }: Credentials,
  deps: LoginDeps,
): Promise<{ token: string; expiresAt: Date; user: User }> {
  const { db, passwords, log, now } = deps;
  if (!isHashable(password) || !isHashable(email)) throw refuse('invalid_credentials');
  const user = await userByEmail(db, normaliseEmail(email));
  const isTheirs = await passwords.matches(password, user?.password_hash);
  if (!user || !isTheirs || user.status !== 'active') {
    log.info('sign_in_refused', { reason: reasonOf(user, isTheirs), user_id: user?.id });
    throw refuse('invalid_credentials');
  }
  const token = createToken();
  const expiresAt = await openSession(user, { token, ip, userAgent }, { db, now: now() });
  log.info('user_signed_in', { user_id: user.id, role: user.role });
  return { token, expiresAt, user: publicUser(user) };
}

function reasonOf(user: UserRow | undefined, isTheirs: boolean): string {
  if (!user) return 'unknown_user';
  return isTheirs ? 'disabled' : 'wrong_password';
}

async function openSession(
  user: UserRow,
  { token, ip, userAgent }: { token: string; ip: string; userAgent: string | undefined },
  { db, now }: { db: Database; now: Date },
): Promise<Date> {
  const expiresAt = new Date(now.getTime() + sessionTerms(user.role).absoluteMs);
  const idleExpiresAt = idleExpiry(user.role, now, expiresAt);
  await db.transaction(async (tx) => {
    await insertSession(tx, {
      userId: user.id,
      tokenSha256: sha256Of(token),
      ip,
      userAgent: userAgent?.slice(0, 200),
      now,
      idleExpiresAt,
      expiresAt,
    });
    const actor = { id: user.id, name: user.display_name, via: 'http' } as const;
    await audit(tx, { actor, action: 'auth.signed_in', targetType: 'user', targetId: user.id });
  });
  return expiresAt;
}

export function publicUser(row: Pick<UserRow, 'id' | 'email' | 'display_name' | 'role' | 'email_verified_at'>): User {
  const { id, email, display_name, role } = row;
  return { id, email, display_name, role, email_verified: row.email_verified_at !== null };
}
