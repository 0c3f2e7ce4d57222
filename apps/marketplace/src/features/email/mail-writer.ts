import { type Database, groupCommit } from '@fmhl/ops';
import { type AcceptedMail, type ClaimedMail, claimMails, markSent } from './queries.ts';

/** Writes how far mails are. Those under way at the same time share a statement and its commit. */
export interface MailWriter {
  /** Resolves once the claim is committed; undefined when the mail has come to an end, or is missing. */
  claim(id: string): Promise<ClaimedMail | undefined>;
  /** Resolves once it is committed that the server took the mail. */
  sent(mail: AcceptedMail): Promise<void>;
}

/** Under load a mail waits this long for others to share its commits with, in ms. A lonely one does not. */
const everyMs = 10;

/** `host` is the right side of the message ids. */
export function openMailWriter(db: Database, host: string): MailWriter {
  const claims = groupCommit<string, ClaimedMail>({
    everyMs,
    keyOf: (id) => id,
    write: async (ids) => new Map((await claimMails(db, ids, host)).map((mail) => [mail.id, mail])),
  });
  const ends = groupCommit<AcceptedMail, never>({
    everyMs,
    keyOf: ({ id }) => id,
    async write(mails) {
      await markSent(db, mails);
      return new Map<string, never>();
    },
  });
  return {
    claim: (id) => claims.add(id),
    async sent(mail) {
      await ends.add(mail);
    },
  };
}
