import {
  bury,
  type Database,
  done,
  type Failpoint,
  type Job,
  type JobHandler,
  type JobOutcome,
  PermanentError,
  retry,
} from '@fmhl/ops';
import type { Log } from '../../log.ts';
import { type RenderedMail, UnwritableMail } from './letter.ts';
import { type MailWriter, openMailWriter } from './mail-writer.ts';
import { type ClaimedMail, mailExists, markRefused, markUnwritable, markWaiting } from './queries.ts';
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
  readonly failpoint: Failpoint;
}

type EmailJob = Job<{ v: 1; email_id: string }>;

/**
 * Sends the mail that a job names. A crash between the server's 250 and our commit sends it again under the same
 * Message-ID, by which mail programs know the copy; a mail whose `sent` is committed never leaves again. The verdict of the job
 * follows that commit: a run that finds its mail at an end is done.
 */
export function openEmailHandler(deps: EmailHandlerDeps): JobHandler<{ v: 1; email_id: string }> {
  const { db, log } = deps;
  const writer = openMailWriter(db, hostOf(deps.from));
  return async (job) => {
    const id = job.payload.email_id;
    const mail = await writer.claim(id);
    if (!mail) return (await mailExists(db, id)) ? done : bury(new PermanentError('the mail does not exist'));
    if (mail.status === 'suppressed') {
      log.info('email_suppressed', { email_id: id, template: mail.template });
      return done;
    }
    try {
      return await send(job, mail, renderMail(mail.template, mail.variables, deps), { ...deps, writer });
    } catch (error) {
      if (!(error instanceof UnwritableMail)) throw error;
      await markUnwritable(db, id);
      return bury(error);
    }
  };
}

async function send(
  job: EmailJob,
  mail: ClaimedMail,
  rendered: RenderedMail,
  deps: EmailHandlerDeps & { readonly writer: MailWriter },
): Promise<JobOutcome> {
  const { transport, log, from, writer, failpoint } = deps;
  const { id, template, to_address: to } = mail;
  let smtpCode: number;
  try {
    ({ smtpCode } = await transport.send({ ...rendered, from, to, messageId: mail.message_id }, job.signal));
  } catch (error) {
    return afterRefusal(job, mail, error, deps);
  }
  await failpoint('handler.after_effect', job.queue);
  await writer.sent({ id, smtpCode });
  log.info('email_sent', { email_id: id, template, smtp_code: smtpCode });
  return done;
}

async function afterRefusal(
  job: EmailJob,
  mail: ClaimedMail,
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
