import { randomUUID } from 'node:crypto';
import { appendEvents, audit, type Tx } from '@fmhl/ops';
import { queueMail } from '../email/index.ts';
import { entryOf } from './challenge.ts';
import { raiseUserVersion, type SessionRow } from './queries.ts';

export interface FactorChange {
  /** Whether it was added, or taken away. */
  readonly enabled: boolean;
  readonly method: 'totp' | 'passkey';
  /** Which passkey. */
  readonly passkeyId?: string;
}

/** Writes down that a second factor was added or taken away, tells it as an event, and tells the owner by mail, who may not have done it. */
export async function recordFactorChange(tx: Tx, session: SessionRow, change: FactorChange): Promise<void> {
  const { enabled, method, passkeyId } = change;
  const action = enabled ? 'auth.second_factor_enrolled' : 'auth.second_factor_disabled';
  const details = { method, ...(passkeyId !== undefined && { passkey_id: passkeyId }) };
  await audit(tx, { ...entryOf(session), action, details });
  await tellFactorChange(tx, { id: session.user_id, email: session.email }, change);
}

/** The event and the mail of it, where another has written it down. */
export async function tellFactorChange(
  tx: Tx,
  { id, email: to }: { id: string; email: string },
  { enabled, method }: FactorChange,
): Promise<void> {
  await appendEvents(tx, [
    {
      stream: 'identity',
      type: 'user.mfa_changed',
      aggregateType: 'user',
      aggregateId: id,
      aggregateVersion: await raiseUserVersion(tx, id),
      payload: { user_id: id, enabled },
    },
  ]);
  const related = { type: 'user', id };
  const variables = { enabled, method };
  await queueMail(tx, { template: 'mfa_changed', variables, to, dedupeKey: `mfa_changed:${randomUUID()}`, related });
}
