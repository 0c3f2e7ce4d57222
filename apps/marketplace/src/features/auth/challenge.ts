import { audit, type Database, type Tx } from '@fmhl/ops';
import { normaliseEmail } from '../../email-address.ts';
import { refuse } from '../../errors.ts';
import type { Keys } from '../../keys.ts';
import type { Log } from '../../log.ts';
import { type Factor, type PasskeyDeps, useRecoveryCode, verifyPasskey, verifyTotp } from '../second-factor/index.ts';
import { admitAttempt, codeAttempt, forgetAttempt, forgiveFailures, passwordAttempt } from './attempts.ts';
import type { ChallengeRequest } from './contract.ts';
import { recordSignIn } from './login.ts';
import { countCodeAttempt, revokeSession, type SessionRow } from './queries.ts';
import { type Client, type OpenedSession, openSession } from './sessions.ts';

/** Tries of a code in one session; the last wrong one ends it. */
const mostTries = 5;

export interface ChallengeDeps extends PasskeyDeps {
  db: Database;
  keys: Keys;
  log: Log;
  now: () => Date;
}

/** What was found of a second factor that was shown, inside the transaction that uses it up. */
export type Shown<T> = { right: true; outcome: T } | { right: false };

/**
 * Opens a full session for who shows a second factor, in place of the one they show it in: one that waited for it, or a full one, whose
 * second factor is fresh again. Refuses `invalid_code`, `rate_limited`, and `session_expired` when the session is over.
 */
export async function challenge(
  session: SessionRow,
  { proof, client }: { proof: ChallengeRequest; client: Client },
  deps: ChallengeDeps,
): Promise<OpenedSession> {
  return withCodeAttempt<OpenedSession>(session, client, deps, async (tx) => {
    const shown = { userId: session.user_id, now: deps.now() };
    const method = await methodShown(tx, proof, shown, deps);
    if (!method) return { right: false };
    if (method === 'recovery_code') await auditRecoveryCode(tx, session);
    return { right: true, outcome: await replaceSession(tx, session, { client, method }, deps) };
  });
}

/** Which factor this is; undefined when it is none of theirs. */
export async function methodShown(
  tx: Tx,
  proof: ChallengeRequest,
  shown: { userId: string; now: Date },
  deps: Pick<ChallengeDeps, 'keys' | 'log' | 'relyingParty'>,
): Promise<Factor | undefined> {
  if ('passkey' in proof) {
    const { passkey: credential } = proof;
    const found = await verifyPasskey(tx, { credential, now: shown.now }, deps);
    return found?.isRight && found.userId === shown.userId ? 'passkey' : undefined;
  }
  if ('code' in proof) return (await verifyTotp(tx, { ...shown, code: proof.code }, deps)) ? 'totp' : undefined;
  const isTheirs = await useRecoveryCode(tx, { ...shown, code: proof.recovery_code }, deps);
  return isTheirs ? 'recovery_code' : undefined;
}

/**
 * Lets `look` judge one code. Five are judged in one session, however many come at once: the fifth wrong one ends it. Beyond sessions, an
 * account has five wrong ones in 15 minutes. The count stays when the code is wrong; `look` must have changed nothing then but used up what was shown. What takes long
 * and needs no transaction is for `prepare`, whose outcome `look` gets: nobody has it done who may not try.
 */
export async function withCodeAttempt<T, Prepared = void>(
  session: SessionRow,
  client: Client,
  deps: ChallengeDeps,
  look: (tx: Tx, prepared: Prepared | undefined) => Promise<Shown<T>>,
  prepare?: () => Promise<Prepared>,
): Promise<T> {
  const { db, keys, now } = deps;
  const attempt = codeAttempt(session.user_id, client.ip, keys);
  const attemptId = await admitAttempt(db, attempt, now());
  const judge = async (tx: Tx, prepared: Prepared | undefined): Promise<Shown<T>> => {
    const tries = await countCodeAttempt(tx, { id: session.id, most: mostTries, now: now() });
    if (tries === undefined) throw refuse('session_expired');
    const verdict = await look(tx, prepared);
    if (verdict.right) await forgiveFailures(tx, attempt);
    else await refuseCode(tx, session, { isLast: tries === mostTries, now: now(), log: deps.log });
    return verdict;
  };
  const attempted = async () => {
    const prepared = await prepare?.();
    return db.transaction((tx) => judge(tx, prepared));
  };
  const shown = await attempted().catch(async (error: unknown) => {
    await forgetAttempt(db, attemptId);
    throw error;
  });
  if (!shown.right) throw refuse('invalid_code');
  return shown.outcome;
}

async function refuseCode(
  tx: Tx,
  session: SessionRow,
  { isLast, now, log }: { isLast: boolean; now: Date; log: Log },
): Promise<void> {
  if (isLast) await revokeSession(tx, { id: session.id, now });
  const details = { reason: 'wrong_code', session_ended: isLast };
  await audit(tx, { ...entryOf(session), action: 'auth.sign_in_refused', details });
  tx.afterCommit(() => log.info('sign_in_refused', { reason: 'wrong_code', user_id: session.user_id }));
}

/** A token that an attacker may have planted or seen before the second factor is worth nothing after it. */
async function replaceSession(
  tx: Tx,
  session: SessionRow,
  { client, method }: { client: Client; method: Factor },
  { log, now, keys }: ChallengeDeps,
): Promise<OpenedSession> {
  const at = now();
  if (!(await revokeSession(tx, { id: session.id, now: at }))) throw refuse('session_expired');
  if (session.kind === 'mfa_pending') {
    await forgiveFailures(tx, passwordAttempt(normaliseEmail(session.email), client.ip, keys));
  }
  await recordSignIn(
    tx,
    { id: session.user_id, name: session.display_name, role: session.role },
    { log, now: at, method },
  );
  return openSession(
    tx,
    { id: session.user_id, role: session.role },
    {
      ...client,
      kind: 'full',
      mfaAt: at,
      now: at,
      // The password was not shown again, so its session lives no longer.
      expiresAt: session.kind === 'full' ? session.expires_at : undefined,
    },
  );
}

export async function auditRecoveryCode(tx: Tx, session: SessionRow): Promise<void> {
  await audit(tx, { ...entryOf(session), action: 'auth.recovery_code_used' });
}

/** The actor and target of what people do to their own sign-in. */
export function entryOf({ user_id: id, display_name: name }: SessionRow) {
  return { actor: { id, name, via: 'http' }, targetType: 'user', targetId: id } as const;
}
