import {
  bury,
  type Database,
  done,
  type Job,
  type JobHandler,
  type JobOutcome,
  PermanentError,
  retry,
} from '@fmhl/ops';
import type { Log } from '../../log.ts';
import { type RenderedMail, UnwritableMail } from './letter.ts';
import { type Mail, markRefused, markSending, markSent, markSuppressed, markWaiting, readMail } from './queries.ts';
import { renderMail } from './render.ts';
import { judgeSmtpError } from './smtp-verdict.ts';
import type { MailContext } from './templates.ts';
import type { MailTransport } from './transport.ts';

export interface EmailHandlerDeps extends MailContext {
  readonly db: Database;
  readonly transport: MailTransport;
  readonly log: Log;
  /** Sender of every mail, such as `Name <name@example.com>`; its host is that of the message ids. */
  readonly from: string;
}

type EmailJob = Job<{ v: 1; email_id: string }>;

/**
 * Sends the mail that a job names. A crash between the server's 250 and our commit sends it again under the same
 * Message-ID, by which mail programs know the copy; a mail whose `sent` is committed never leaves again.
 */
export function openEmailHandler(deps: EmailHandlerDeps): JobHandler<{ v: 1; email_id: string }> {
  return async (job) => {
    const id = job.payload.email_id;
    const mail = await readMail(deps.db, id);
    if (!mail) return bury(new PermanentError('the mail does not exist'));
    if (mail.status === 'sent' || mail.status === 'failed' || mail.status === 'suppressed') return done;
    if (mail.suppressed) return suppress(job, mail, deps);
    try {
      return await send(job, mail, renderMail(mail.template, mail.variables, deps), deps);
    } catch (error) {
      if (!(error instanceof UnwritableMail)) throw error;
      await markWaiting(deps.db, id, { summary: 'unwritable' });
      return bury(error);
    }
  };
}

async function suppress(job: EmailJob, mail: Mail, { log }: EmailHandlerDeps): Promise<JobOutcome> {
  const email_id = job.payload.email_id;
  await job.commit(async (tx) => {
    await markSuppressed(tx, email_id);
    tx.afterCommit(() => log.info('email_suppressed', { email_id, template: mail.template }));
  });
  return done;
}

async function send(job: EmailJob, mail: Mail, rendered: RenderedMail, deps: EmailHandlerDeps): Promise<JobOutcome> {
  const { db, transport, log, from } = deps;
  const email_id = job.payload.email_id;
  const messageId = `<${email_id}@${hostOf(from)}>`;
  if (!(await markSending(db, email_id, messageId))) return done;
  let smtpCode: number;
  try {
    ({ smtpCode } = await transport.send({ ...rendered, from, to: mail.to_address, messageId }, job.signal));
  } catch (error) {
    return afterRefusal(job, mail, error, deps);
  }
  await job.commit(async (tx) => {
    await markSent(tx, email_id, smtpCode);
    tx.afterCommit(() => log.info('email_sent', { email_id, template: mail.template, smtp_code: smtpCode }));
  });
  return done;
}

async function afterRefusal(
  job: EmailJob,
  mail: Mail,
  thrown: unknown,
  { db, log }: EmailHandlerDeps,
): Promise<JobOutcome> {
  const email_id = job.payload.email_id;
  const failure = judgeSmtpError(thrown);
  if (failure.kind === 'transient') {
    await markWaiting(db, email_id, failure);
    // A new error: the text and the cause of the old one may hold the address.
    return retry(new MailNotAccepted(failure.summary));
  }
  await job.commit(async (tx) => {
    await markRefused(tx, email_id, failure);
    tx.afterCommit(() =>
      log.warn('email_rejected', {
        email_id,
        template: mail.template,
        smtp_code: failure.smtpCode,
        answer: failure.summary,
      }),
    );
  });
  return done;
}

class MailNotAccepted extends Error {
  override name = 'MailNotAccepted';

  constructor(summary: string) {
    super(`the mail server did not accept the mail: ${summary}`);
  }
}

function hostOf(from: string): string {
  return /@([^@>\s]+)>?\s*$/.exec(from)?.[1] ?? 'localhost';
}
