import type { Tx } from '@fmhl/ops';
import { confirmTotp, enrolTotp, makeRecoveryCodes, removeSecondFactor } from '../second-factor/index.ts';
import { auditRecoveryCode, type ChallengeDeps, methodShown, type Shown, withCodeAttempt } from './challenge.ts';
import type { DisableRequest } from './contract.ts';
import { recordFactorChange } from './factor-change.ts';
import { requireKnownFactor } from './known-factor.ts';
import { isHashable } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import { forgetSecondFactor, passwordHashOf, type SessionRow } from './queries.ts';
import { type Client, type OpenedSession, openSession, revokeUserSessions } from './sessions.ts';

/**
 * Makes a TOTP secret, which counts once {@link verifyEnrolment} has seen a code of it. Refuses `already_enrolled`, and as
 * {@link requireKnownFactor}.
 */
export async function enrol(session: SessionRow, { db, keys, now }: ChallengeDeps) {
  return db.transaction(async (tx) => {
    const enrolled = await enrolTotp(tx, { userId: session.user_id, email: session.email, now: now() }, { keys });
    await requireKnownFactor(tx, session, now());
    return enrolled;
  });
}

/**
 * Turns the second factor on with its first code. Answers a full session in place of all there were, and ten recovery codes, which are
 * shown here only. Refuses `invalid_code`, `not_enrolled`, `already_enrolled`.
 */
export async function verifyEnrolment(
  session: SessionRow,
  { code, client }: { code: string; client: Client },
  deps: ChallengeDeps,
): Promise<OpenedSession & { recoveryCodes: string[] }> {
  return withCodeAttempt<OpenedSession & { recoveryCodes: string[] }>(session, client, deps, async (tx) => {
    const at = deps.now();
    const userId = session.user_id;
    if (!(await confirmTotp(tx, { userId, code, now: at }, deps))) return { right: false };
    await revokeUserSessions(tx, userId, { now: at });
    const recoveryCodes = await makeRecoveryCodes(tx, userId, deps);
    const user = { id: userId, role: session.role };
    const draft = { ...client, kind: 'full', mfaAt: at, now: at, expiresAt: session.expires_at } as const;
    const opened = await openSession(tx, user, draft);
    await recordFactorChange(tx, session, { enabled: true, method: 'totp' });
    return { right: true, outcome: { ...opened, recoveryCodes } };
  });
}

/**
 * Turns the second factor off and ends all other sessions; this one counts as without. Refuses `invalid_code` when
 * the password or the code is wrong, for a guesser must not learn which.
 */
export async function disable(
  session: SessionRow,
  { proof, client }: { proof: DisableRequest; client: Client },
  deps: ChallengeDeps & { passwords: Passwords },
): Promise<void> {
  const { password, ...factor } = proof;
  const isTheirs = async () => {
    const passwordHash = isHashable(password) ? await passwordHashOf(deps.db, session.user_id) : undefined;
    return passwordHash !== undefined && deps.passwords.matches(password, passwordHash);
  };
  const turnOff = async (tx: Tx, isPasswordRight: boolean | undefined): Promise<Shown<undefined>> => {
    if (!isPasswordRight) return { right: false };
    const userId = session.user_id;
    const method = await methodShown(tx, factor, { userId, now: deps.now() }, deps);
    if (!method) return { right: false };
    if (method === 'recovery_code') await auditRecoveryCode(tx, session);
    await removeSecondFactor(tx, userId);
    await forgetSecondFactor(tx, session.id);
    await revokeUserSessions(tx, userId, { now: deps.now(), except: session.id });
    await recordFactorChange(tx, session, { enabled: false, method: 'totp' });
    return { right: true, outcome: undefined };
  };
  await withCodeAttempt(session, client, deps, turnOff, isTheirs);
}
