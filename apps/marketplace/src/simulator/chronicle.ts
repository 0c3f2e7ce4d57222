import { emailQueue } from '../queues.ts';
import { type TemplateName, templates, type VariablesOf } from '../features/email/index.ts';
import type { MailFate } from './people.ts';
import { idOf, streamOf } from './random.ts';
import { demand, type Mishaps } from './shape.ts';
import type { RowOf, TableName } from './tables.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** Older runs would have been removed by now. */
const runsKeptMs = 30 * dayMs;

export interface RowSink {
  add<Name extends TableName>(name: Name, row: RowOf<Name>): void;
}

/** What died in the past and waits for a person. */
export interface PastDeath {
  readonly runKey: string;
  readonly queue: string;
  readonly kind: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly attempts: number;
  readonly cause: 'exhausted' | 'permanent';
  readonly error: { readonly type: string; readonly message: string; readonly stack: string };
  readonly enqueuedAt: number;
  readonly diedAt: number;
  readonly correlationId: string;
}

export type PastMail = {
  [Name in TemplateName]: {
    readonly template: Name;
    readonly variables: VariablesOf<Name>;
    readonly to: string;
    readonly fate: MailFate;
    readonly dedupeKey: string;
    readonly related: { readonly type: string; readonly id: string };
    readonly at: number;
    readonly correlationId: string;
  };
}[TemplateName];

export interface PastJob {
  readonly key: string;
  readonly queue: string;
  readonly kind: string;
  readonly at: number;
  readonly endedAt: number;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly priority: number;
  readonly correlationId: string;
}

interface Outcome {
  readonly status: 'sent' | 'failed';
  readonly attempts: number;
  readonly code: number;
  readonly afterMs: number;
}

/** How a mail to such an address ends, but for the time the server takes. */
const outcomes: Readonly<Record<MailFate, Outcome>> = {
  accepted: { status: 'sent', attempts: 1, code: 250, afterMs: 0 },
  greylisted: { status: 'sent', attempts: 2, code: 250, afterMs: 11_000 },
  slow: { status: 'sent', attempts: 3, code: 250, afterMs: 95_000 },
  bounced: { status: 'failed', attempts: 1, code: 550, afterMs: 0 },
};

/** How long before the end the middle of the outage of the mail server lies. */
const outageAgoMs = 5 * dayMs;
/** Nobody would leave it for longer. */
const unrepairedMs = 14 * dayMs;

/** Writes down what happens besides the acts themselves: mails, the jobs that ran, and those that died. */
export class Chronicle {
  readonly seed: number;
  readonly now: number;
  readonly rows: RowSink;
  readonly deaths: PastDeath[] = [];
  readonly mishaps: Mishaps;
  readonly #suppressed = new Set<string>();

  constructor({ seed, now, rows, mishaps }: { seed: number; now: number; rows: RowSink; mishaps: Mishaps }) {
    this.seed = seed;
    this.now = now;
    this.rows = rows;
    this.mishaps = mishaps;
  }

  /** A job that did its work. */
  job(job: PastJob): void {
    if (job.at < this.now - runsKeptMs) return;
    this.rows.add('ops.job_run', {
      run_key: job.key,
      root_key: job.key,
      queue: job.queue,
      kind: job.kind,
      state: 'done',
      started: job.attempts,
      finished: job.attempts,
      failures: job.attempts - 1,
      max_attempts: job.maxAttempts,
      priority: job.priority,
      run_at: job.at,
      enqueued_at: job.at,
      last_started_at: Math.max(job.at, job.endedAt - 50),
      finished_at: job.endedAt,
      correlation_id: job.correlationId,
    });
  }

  /** Old enough that its last attempt lies behind, and not forgotten. */
  mayDie(at: number): boolean {
    return at < this.now - 2 * hourMs && at > this.now - unrepairedMs;
  }

  /** A job that waits for a person; false when there are enough of them. */
  death(death: PastDeath): boolean {
    if (this.deaths.length >= this.mishaps.mostDeadJobs) return false;
    this.deaths.push(death);
    return true;
  }

  mail(mail: PastMail): void {
    const id = idOf(this.seed, 'mail', mail.dedupeKey);
    if (!this.#dies(mail, id)) this.#ends(mail, id);
  }

  #ends(mail: PastMail, id: string): void {
    const { status, attempts, code, afterMs } = outcomes[mail.fate];
    const random = streamOf(this.seed, 'mail', mail.dedupeKey);
    const tookMs = Math.round(random.logNormal(demand.mail.medianMs, demand.mail.sigma));
    const endedAt = Math.min(this.now, mail.at + afterMs + tookMs);
    const lastError = status === 'failed' ? 'mailbox refused' : null;
    this.#row(mail, id, { status, attempts, code, endedAt, lastError });
    this.job({
      key: `email-${id}`,
      queue: emailQueue.name,
      kind: 'send_email',
      at: mail.at,
      endedAt,
      attempts,
      maxAttempts: emailQueue.attempts,
      priority: 'urgent' in templates[mail.template] ? 0 : 10,
      correlationId: mail.correlationId,
    });
    if (status === 'sent' || this.#suppressed.has(mail.to)) return;
    this.#suppressed.add(mail.to);
    this.rows.add('email_suppression', {
      address: mail.to,
      reason: 'mailbox_refused',
      since: endedAt,
      created_at: endedAt,
    });
  }

  /** Some mails to providers did not get out: in an outage of the mail server, or because nobody could write them. */
  #dies(mail: PastMail, id: string): boolean {
    if (mail.template === 'lead_confirm') return false;
    const { outageHours, lostShare, unwritableShare } = this.mishaps;
    const random = streamOf(this.seed, 'mail.death', mail.dedupeKey);
    const isLost = Math.abs(this.now - outageAgoMs - mail.at) < (outageHours / 2) * hourMs && random.chance(lostShare);
    const isUnwritable = mail.template === 'deposit_receipt' && this.mayDie(mail.at) && random.chance(unwritableShare);
    if (!isUnwritable && !isLost) return false;
    const attempts = isUnwritable ? 1 : emailQueue.attempts;
    const diedAt = mail.at + (isUnwritable ? 400 : random.between(4_000_000, 5_000_000));
    const died = this.death({
      runKey: `email-${id}`,
      queue: emailQueue.name,
      kind: 'send_email',
      payload: { v: 1, email_id: id },
      attempts,
      cause: isUnwritable ? 'permanent' : 'exhausted',
      error: isUnwritable ? unwritable : unanswered,
      enqueuedAt: mail.at,
      diedAt,
      correlationId: mail.correlationId,
    });
    if (died)
      this.#row(mail, id, {
        status: 'queued',
        attempts,
        code: null,
        endedAt: diedAt,
        lastError: isUnwritable ? 'unwritable' : 'ETIMEDOUT',
      });
    return died;
  }

  #row(
    { template, variables, to, dedupeKey, related, at }: PastMail,
    id: string,
    end: { status: string; attempts: number; code: number | null; endedAt: number; lastError: string | null },
  ): void {
    this.rows.add('email', {
      id,
      dedupe_key: dedupeKey,
      template,
      template_version: templates[template].version,
      to_address: to,
      related_type: related.type,
      related_id: related.id,
      variables: JSON.stringify(variables),
      status: end.status,
      attempts: end.attempts,
      message_id: `<${id}@fmhl.example.com>`,
      smtp_code: end.code,
      last_error: end.lastError,
      sending_since: Math.max(at, end.endedAt - 300),
      sent_at: end.status === 'sent' ? end.endedAt : null,
      created_at: at,
      updated_at: end.endedAt,
      version: 1 + 2 * end.attempts,
    });
  }
}

const unanswered = {
  type: 'MailNotAccepted',
  message: 'the mail server did not accept the mail: ETIMEDOUT',
  stack:
    'MailNotAccepted: the mail server did not accept the mail: ETIMEDOUT\n    at afterRefusal (/app/features/email/jobs.ts:88:16)',
};
const unwritable = {
  type: 'UnwritableMail',
  message: 'the mail cannot be written: balance_after_cents is missing',
  stack:
    'UnwritableMail: the mail cannot be written: balance_after_cents is missing\n    at renderMail (/app/features/email/render.ts:31:11)',
};
