import { type Mail, type Mailbox, startMailbox } from '../../apps/marketplace/src/embedded/mailbox.ts';
import { type Journal, openJournal } from './journal.ts';

/** One mail as the receiving server took it. */
export interface Receipt {
  /** Without its angle brackets. */
  readonly messageId: string;
  readonly to: string;
}

/** An SMTP server that notes each mail before it says 250. */
export interface MailServer {
  readonly url: string;
  readonly receipts: Journal<Receipt>;
  /** Told of each mail after it was noted. */
  onMail(listener: (mail: Mail) => void): void;
  /** Turns every connection away with 421. */
  refuse(on: boolean): void;
  /** Closes its port, as a server that is down. */
  down(): Promise<void>;
  /** Opens it again. */
  up(): Promise<void>;
  stop(): Promise<void>;
}

export async function startMailServer(path: string): Promise<MailServer> {
  const receipts = openJournal<Receipt>(path);
  const listeners: ((mail: Mail) => void)[] = [];
  const take = (mail: Mail) => {
    receipts.append({ messageId: mail.messageId, to: mail.to });
    for (const listener of listeners) listener(mail);
  };
  const open = async (port = 0): Promise<Mailbox> => {
    const opened = await startMailbox({ port });
    opened.onMail(take);
    return opened;
  };
  let mailbox = await open();
  const url = mailbox.smtpUrl;
  return {
    url,
    receipts,
    onMail: (listener) => void listeners.push(listener),
    refuse: (on) => mailbox.behave(on ? 'refuse' : 'ok'),
    down: () => mailbox.stop(),
    up: async () => {
      mailbox = await open(Number(new URL(url).port));
    },
    stop: () => mailbox.stop(),
  };
}
