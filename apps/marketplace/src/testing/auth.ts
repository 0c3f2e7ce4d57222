import { randomUUID } from 'node:crypto';
import { type Database, type Queryable, sql } from '@fmhl/ops';
import { openSession } from '../features/auth/index.ts';
import { openKeys } from '../keys.ts';

export interface UserOverrides {
  email?: string;
  role?: 'admin' | 'viewer' | 'responder' | 'finance' | 'provider';
  status?: 'active' | 'disabled';
  displayName?: string;
  /** Default true. */
  emailVerified?: boolean;
}

/** A user nobody can sign in as: no password has this hash. */
export async function makeUser(db: Queryable, overrides: UserOverrides = {}): Promise<{ id: string; email: string }> {
  const id = randomUUID();
  const { email = `user-${id}@example.com`, role = 'admin', status = 'active', displayName = 'Test User' } = overrides;
  const { emailVerified = true } = overrides;
  await db.query(sql`
    insert into identity.users (id, email, email_norm, password_hash, display_name, role, status, email_verified_at)
    values (${id}, ${email}, ${email.toLowerCase()}, 'none', ${displayName}, ${role}, ${status},
            case when ${emailVerified} then clock_timestamp() end)`);
  return { id, email };
}

/** The keys of tests. */
export const testKeys = openKeys({ tokenKey: '5e'.repeat(32) });

export interface TestSignIn {
  readonly userId: string;
  readonly email: string;
  readonly token: string;
  /** What a request of theirs carries. */
  readonly headers: { readonly authorization: string };
}

/**
 * A user with an open session, without the detour over passwords and codes. `mfaAt`: when they showed their second factor; by default just
 * now for staff and never for providers, null for never.
 */
export async function signInAs(
  db: Database,
  { mfaAt, kind = 'full', ...overrides }: UserOverrides & { mfaAt?: Date | null; kind?: 'full' | 'mfa_pending' } = {},
): Promise<TestSignIn> {
  const { role = 'admin' } = overrides;
  const user = await makeUser(db, overrides);
  const now = new Date();
  const shownAt = mfaAt === undefined && role !== 'provider' ? now : (mfaAt ?? undefined);
  const client = { ip: '127.0.0.1', userAgent: 'test' };
  const { token } = await db.transaction((tx) =>
    openSession(tx, { id: user.id, role }, { ...client, kind, mfaAt: shownAt, now }),
  );
  return { userId: user.id, email: user.email, token, headers: { authorization: `Bearer ${token}` } };
}
