import { audit, type Database, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Keys } from '../../keys.ts';
import type { Log } from '../../log.ts';
import type { RegisteredCredential, ShownCredential } from '../../passkey-credential.ts';
import {
  admitAttempt,
  type Attempt,
  type Client,
  forgetAttempt,
  forgiveFailures,
  type OpenedSession,
  openSession,
  passkeyAttempt,
  publicUser,
  recordFactorChange,
  recordSignIn,
  requireKnownFactor,
  revokeUserSessions,
  type SessionRow,
} from '../auth/index.ts';
import {
  addPasskey,
  deletePasskey,
  type PasskeyDeps,
  type PasskeyRow,
  passkeyRegistration,
  verifyPasskey,
} from '../second-factor/index.ts';
import { lockUser, type UserRow, userById } from './user-queries.ts';

export interface OwnPasskeyDeps extends PasskeyDeps {
  db: Database;
  keys: Keys;
  log: Log;
  now: () => Date;
}

/** What the own browser needs to make a passkey. Refuses as {@link requireKnownFactor}, and `too_many`. */
export async function beginPasskey(session: SessionRow, deps: OwnPasskeyDeps) {
  const { db, now } = deps;
  await requireKnownFactor(db, session, now());
  const { user_id: userId, email, display_name: displayName } = session;
  return passkeyRegistration(db, { userId, email, displayName, now: now() }, deps);
}

/**
 * Adds a passkey, which is a second factor from then on; all other sessions end with the first. Refuses as {@link requireKnownFactor},
 * `validation_failed` for a credential that is not what was asked for, and `already_enrolled`.
 */
export async function finishPasskey(
  session: SessionRow,
  { name, credential }: { name: string; credential: RegisteredCredential },
  deps: OwnPasskeyDeps,
): Promise<PasskeyRow> {
  const { db, now } = deps;
  const row = await db.transaction(async (tx) => {
    // Of two first passkeys at once, the second needs the first.
    await lockUser(tx, session.user_id);
    const factors = await requireKnownFactor(tx, session, now());
    const added = await addPasskey(tx, { userId: session.user_id, name, credential, now: now() }, deps);
    if (!added) return undefined;
    if (factors.length === 0) await revokeUserSessions(tx, session.user_id, { now: now(), except: session.id });
    await recordFactorChange(tx, session, { enabled: true, method: 'passkey', passkeyId: added.id });
    return added;
  });
  if (row) return row;
  const message = 'is not what was asked for: begin anew';
  throw refuse('validation_failed', { faults: [{ at: 'body.credential', message }] });
}

/** Takes a passkey away. Refuses `not_found`. */
export async function removePasskey(session: SessionRow, id: string, { db }: OwnPasskeyDeps): Promise<void> {
  await db.transaction(async (tx) => {
    if (!(await deletePasskey(tx, { id, userId: session.user_id }))) throw refuse('not_found');
    await recordFactorChange(tx, session, { enabled: false, method: 'passkey', passkeyId: id });
  });
}

/** Opens a full session for the owner of a passkey, which is both factors at once. Refuses `passkey_refused` and `rate_limited`. */
export async function signInByPasskey(
  { credential, client }: { credential: ShownCredential; client: Client },
  deps: OwnPasskeyDeps,
): Promise<OpenedSession & { user: ReturnType<typeof publicUser> }> {
  const { db, keys, now } = deps;
  const attempt = passkeyAttempt(credential.id, client.ip, keys);
  const attemptId = await admitAttempt(db, attempt, now());
  // Outside the transaction: the challenge is used up, and the count moved on, whatever comes next.
  const found = await verifyPasskey(db, { credential, now: now() }, deps).catch(async (error: unknown) => {
    await forgetAttempt(db, attemptId);
    throw error;
  });
  const user = found && (await userById(db, found.userId));
  if (!found?.isRight || user?.status !== 'active') return refuseSignIn(user, found?.isRight ?? false, deps);
  return db.transaction((tx) => begin(tx, { user, client, attempt }, deps));
}

async function begin(
  tx: Tx,
  { user, client, attempt }: { user: UserRow; client: Client; attempt: Attempt },
  { log, now }: OwnPasskeyDeps,
) {
  const at = now();
  await forgiveFailures(tx, attempt);
  await recordSignIn(
    tx,
    { id: user.id, name: user.display_name, role: user.role },
    { log, now: at, method: 'passkey' },
  );
  const opened = await openSession(tx, user, { ...client, kind: 'full', mfaAt: at, now: at });
  return { ...opened, user: publicUser(user) };
}

/** Of a passkey that is nobody's only the log tells: strangers must not fill the audit log, which keeps all. */
async function refuseSignIn(user: UserRow | undefined, isRight: boolean, { db, log }: OwnPasskeyDeps): Promise<never> {
  const reason = isRight ? 'disabled' : 'passkey_refused';
  if (user) {
    const actor = { id: 'anonymous', name: 'anonymous', via: 'http' } as const;
    const target = { targetType: 'user', targetId: user.id };
    await db.transaction((tx) => audit(tx, { actor, action: 'auth.sign_in_refused', ...target, details: { reason } }));
  }
  log.info('sign_in_refused', { reason, user_id: user?.id });
  throw refuse('passkey_refused');
}
