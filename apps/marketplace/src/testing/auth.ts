import { randomUUID } from 'node:crypto';
import { type Queryable, sql } from '@fmhl/ops';

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
