import { type Actor, audit, type Database } from '@fmhl/ops';
import { normaliseEmail } from '../../email-address.ts';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { revokeUserSessions, tellFactorChange } from '../auth/index.ts';
import { removeAllFactors } from '../second-factor/index.ts';
import { lockUserByEmail } from './user-queries.ts';

export interface ResetDraft {
  readonly email: string;
  readonly actor: Actor;
  readonly reason: string | undefined;
}

/** What was taken away, and how many sessions ended. */
export interface FactorReset {
  readonly methods: readonly ('totp' | 'passkey')[];
  readonly sessions: number;
}

/**
 * Takes the second factor of a user away, recovery codes and passkeys too, and ends their sessions: for who lost it all, by a person who may
 * write to the database. The owner is told by mail. Password and API tokens stay. Refuses `not_found`.
 */
export async function resetSecondFactor(
  { email, actor, reason }: ResetDraft,
  { db, log, now }: { db: Database; log: Log; now: () => Date },
): Promise<FactorReset> {
  return db.transaction(async (tx) => {
    const user = await lockUserByEmail(tx, normaliseEmail(email));
    if (!user) throw refuse('not_found');
    const methods = await removeAllFactors(tx, user.id);
    const sessions = await revokeUserSessions(tx, user.id, { now: now() });
    const details = { methods, sessions };
    const target = { targetType: 'user', targetId: user.id };
    await audit(tx, { actor, action: 'user.second_factor_reset', ...target, reason, details });
    for (const method of methods) await tellFactorChange(tx, user, { enabled: false, method });
    tx.afterCommit(() => log.info('second_factor_reset', { user_id: user.id }));
    return details;
  });
}
