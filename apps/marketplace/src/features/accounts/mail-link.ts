import type { Tx } from '@fmhl/ops';
import { raiseUserVersion } from '../auth/index.ts';
import { type MailDraft, queueMail } from '../email/index.ts';
import type { TokenPurpose } from './mailed-token.ts';
import { tellTokenIssued } from './user-events.ts';
import { insertUserToken } from './user-token-queries.ts';

const hourMs = 3_600_000;

/** A mail with a link; its template has the name of the link's purpose. */
type LinkMail<Draft = MailDraft> = Draft extends { template: TokenPurpose; variables: object }
  ? Pick<Draft, 'template' | 'variables'>
  : never;

/** Mails a link that is good for some hours. Does nothing when the user got three of its purpose within an hour. */
export async function mailLink(
  tx: Tx,
  { userId, email, hours, now }: { userId: string; email: string; hours: number; now: Date },
  { purpose, mail }: { purpose: TokenPurpose; mail: (tokenId: string) => LinkMail },
): Promise<void> {
  const expiresAt = new Date(now.getTime() + hours * hourMs);
  const tokenId = await insertUserToken(tx, { userId, purpose, now, expiresAt });
  if (tokenId === undefined) return;
  const related = { type: 'user', id: userId };
  await queueMail(tx, { ...mail(tokenId), to: email, dedupeKey: `${purpose}:${tokenId}`, related });
  await tellTokenIssued(tx, { userId, version: await raiseUserVersion(tx, userId), tokenId, purpose });
}
