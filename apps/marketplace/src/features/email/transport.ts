import { createTransport } from 'nodemailer';
import type { RenderedMail } from './letter.ts';
import { plainMessage } from './plain-message.ts';

export interface OutgoingMail extends RenderedMail {
  readonly from: string;
  readonly to: string;
  /** With its angle brackets; the same for every attempt at one mail. */
  readonly messageId: string;
}

export interface MailTransport {
  /** Resolves with the code of the server's acceptance (250). Rejects with what the SMTP client threw. */
  send(mail: OutgoingMail, signal?: AbortSignal): Promise<{ smtpCode: number }>;
  close(): void;
}

const patienceMs = 10_000;

/** A pool of connections to `smtp://…` or `smtps://…`. Connects lazily, and waits at most 10 s for each step. */
export function openTransport(smtpUrl: string): MailTransport {
  const transporter = createTransport({
    url: smtpUrl,
    pool: true,
    maxConnections: 10,
    // The queue repeats failed mails; once here is for a kept connection that the server had closed.
    maxRequeues: 1,
    connectionTimeout: patienceMs,
    greetingTimeout: patienceMs,
    socketTimeout: patienceMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    send: async (mail, signal) => {
      const info = await transporter.sendMail({
        ...(plainMessage(mail) ?? encoded(mail)),
        messageId: mail.messageId,
        ...(signal && { signal }),
      });
      return { smtpCode: Number.parseInt(info.response, 10) || 250 };
    },
    close: () => transporter.close(),
  };
}

/** For whatever has to be encoded. */
function encoded({ from, to, subject, text, html }: OutgoingMail) {
  const headers = { 'Auto-Submitted': 'auto-generated' };
  return { from, to: { name: '', address: to }, subject, text, html, headers };
}
