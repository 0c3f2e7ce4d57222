import { appendEvents, type Tx } from '@fmhl/ops';
import type { TokenPurpose } from './mailed-token.ts';

type UserFact = 'user.email_verified' | 'user.disabled' | 'user.enabled' | 'user.password_changed';

/** Tells a fact about a user, whose version was raised for it. */
export async function tellUser(tx: Tx, fact: { type: UserFact; userId: string; version: number }): Promise<void> {
  const { type, userId, version } = fact;
  await append(tx, { type, userId, version, payload: { user_id: userId } });
}

/** Tells that a link was mailed, by its id; the token itself is nowhere but in the mail. */
export async function tellTokenIssued(
  tx: Tx,
  { userId, version, tokenId, purpose }: { userId: string; version: number; tokenId: string; purpose: TokenPurpose },
): Promise<void> {
  const payload = { user_id: userId, token_id: tokenId, purpose };
  await append(tx, { type: 'user.token_issued', userId, version, payload });
}

async function append(
  tx: Tx,
  {
    type,
    userId,
    version,
    payload,
  }: { type: string; userId: string; version: number; payload: Record<string, unknown> },
): Promise<void> {
  const about = { aggregateType: 'user', aggregateId: userId, aggregateVersion: version };
  await appendEvents(tx, [{ stream: 'identity', type, ...about, payload }]);
}
