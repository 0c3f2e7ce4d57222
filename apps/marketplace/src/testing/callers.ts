import { type Database, sql } from '@fmhl/ops';
import { signInAs, type TestSignIn, type UserOverrides } from './auth.ts';

/** Somebody who calls the API, and what the access checks know of them. */
export interface Caller {
  readonly name: string;
  readonly role: UserOverrides['role'];
  /** When they showed a second factor. */
  readonly factor: 'fresh' | 'stale' | 'missing';
  readonly kind?: 'full' | 'mfa_pending';
  readonly status?: 'active' | 'disabled';
}

const minute = 60_000;

/** Signs a caller in, with a session of their own. A provider gets an active account beside the user. */
export async function signInCaller(
  db: Database,
  { role, factor, kind, status }: Omit<Caller, 'name'>,
): Promise<TestSignIn> {
  const ages = { fresh: 0, stale: 16 * minute, missing: Number.NaN };
  const mfaAt = factor === 'missing' ? null : new Date(Date.now() - ages[factor]);
  const signedIn = await signInAs(db, {
    ...(role && { role }),
    mfaAt,
    ...(kind && { kind }),
    ...(status && { status }),
  });
  if (role === 'provider') {
    await db.query(sql`
      insert into provider (user_id, company, tz, status) values (${signedIn.userId}, 'Test Roofing', 'UTC', 'active')`);
  }
  return signedIn;
}
