import { Readable } from 'node:stream';
import { createTransport } from 'nodemailer';
import type { RenderedMail } from './letter.ts';
import { type PlainMessage, plainMessage } from './plain-message.ts';

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
  const pool = transporter.transporter as unknown as Pool;
  return {
    async send(mail, signal) {
      const plain = plainMessage(mail);
      const { response } = plain
        ? await sendReady(pool, { ...plain, messageId: mail.messageId }, signal)
        : await transporter.sendMail({ ...encoded(mail), ...(signal && { signal }) });
      return { smtpCode: Number.parseInt(response, 10) || 250 };
    },
    close: () => transporter.close(),
  };
}

/** What the pool asks of a mail that is written already: the library's interface for transports. Its own mails cost twice as much to send. */
interface Pool {
  send(
    mail: {
      data: { signal: AbortSignal | undefined };
      message: {
        getHeader: () => string;
        messageId: () => string;
        getEnvelope: () => PlainMessage['envelope'];
        createReadStream: () => Readable;
      };
    },
    done: (error: Error | null, sent?: { response: string }) => void,
  ): void;
}

function sendReady(
  pool: Pool,
  { envelope, raw, messageId }: PlainMessage & { messageId: string },
  signal: AbortSignal | undefined,
): Promise<{ response: string }> {
  const message = {
    getHeader: () => messageId,
    messageId: () => messageId,
    getEnvelope: () => envelope,
    createReadStream: () => streamOf(raw),
  };
  return new Promise((resolve, reject) => {
    pool.send({ data: { signal }, message }, (error, sent) => {
      if (error) reject(error);
      else resolve(sent ?? { response: '' });
    });
  });
}

function streamOf(raw: string): Readable {
  return new Readable({
    read() {
      this.push(raw);
      this.push(null);
    },
  });
}

/** For whatever has to be encoded. */
function encoded({ from, to, messageId, subject, text, html }: OutgoingMail) {
  const headers = { 'Auto-Submitted': 'auto-generated' };
  return { from, to: { name: '', address: to }, messageId, subject, text, html, headers };
}
