import type { Database, Tx } from '@fmhl/ops';
import { normaliseEmail } from '../../email-address.ts';
import type { Log } from '../../log.ts';
import { queueMail } from '../email/index.ts';
import type { Passwords } from './passwords.ts';
import { userByEmail } from './queries.ts';
import { createUser, hashChosenPassword } from './users.ts';

/** Adds the provider of a new user. The composition gives it, as providers belong to a feature above this one. */
export type CreateProvider = (
  tx: Tx,
  provider: { userId: string; company: string; tz: string; status: 'pending' },
) => Promise<unknown>;

/** Mails a link that verifies the address of a new user. The composition gives it, as for the provider. */
export type MailVerification = (tx: Tx, user: { userId: string; email: string; now: Date }) => Promise<unknown>;

export interface RegisterDeps {
  db: Database;
  passwords: Passwords;
  log: Log;
  now: () => Date;
  createProvider: CreateProvider;
  mailVerification: MailVerification;
}

/**
 * Adds a provider who waits for verification, and mails them the link for it. For a known address nothing changes but that its
 * owner is told by mail, so that the answer tells nobody who has an account. Refuses `validation_failed` for a weak password.
 */
export async function register(
  input: { email: string; password: string; company: string; tz: string },
  deps: RegisterDeps,
): Promise<void> {
  const { email, company, tz } = input;
  const passwordHash = await hashChosenPassword(input, deps);
  await deps.db.transaction(async (tx) => {
    const draft = { email, passwordHash, displayName: company, role: 'provider', emailVerified: false, tz } as const;
    const userId = await createUser(tx, draft, deps);
    if (userId === undefined) return remindOwner(tx, normaliseEmail(email), deps.now());
    await deps.createProvider(tx, { userId, company, tz, status: 'pending' });
    await deps.mailVerification(tx, { userId, email, now: deps.now() });
  });
}

/** One a day, so that nobody can fill another's mailbox by registering. */
async function remindOwner(tx: Tx, emailNorm: string, now: Date): Promise<void> {
  const owner = await userByEmail(tx, emailNorm);
  if (owner?.status !== 'active') return;
  const dedupeKey = `account_known:${owner.id}:${now.toISOString().slice(0, 10)}`;
  const related = { type: 'user', id: owner.id };
  await queueMail(tx, { template: 'account_known', variables: {}, to: owner.email, dedupeKey, related });
}
