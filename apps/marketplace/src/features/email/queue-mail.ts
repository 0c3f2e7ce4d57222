import { randomUUID } from 'node:crypto';
import { enqueueParts, type LogContext, prepared, type Sql, sql, type Tx } from '@fmhl/ops';
import { emailQueue } from '../../queues.ts';
import { emailInsert } from './queries.ts';
import { type TemplateName, templates, type VariablesOf } from './templates.ts';

/** A mail to be promised. */
export type MailDraft = {
  [Name in TemplateName]: {
    readonly template: Name;
    /** Ids, names of the catalogue, cents; never personal data. */
    readonly variables: VariablesOf<Name>;
    readonly to: string;
    /** Which fact the mail is about, such as `new_lead:<assignment>`: a second mail of the same key is absorbed. */
    readonly dedupeKey: string;
    /** What the mail belongs to, to find it again. */
    readonly related?: { readonly type: string; readonly id: string };
    /** What the mail follows from. Default: the running work. */
    readonly context?: LogContext;
  };
}[TemplateName];

/** Promises a mail in the caller's transaction. Answers false when a mail of this key exists. */
export async function queueMail(tx: Tx, draft: MailDraft): Promise<boolean> {
  return (await queueMails(tx, [draft])) === 1;
}

/** Promises mails in one statement, and answers how many were new. One to a suppressed address is written and not sent. */
export async function queueMails(tx: Tx, drafts: readonly MailDraft[]): Promise<number> {
  if (drafts.length === 0) return 0;
  const { rows } = await tx.query<{ created: number }>(
    prepared('queue_mail', sql`with ${mailParts(drafts)} select count(*)::int as created from new_email`),
  );
  tx.wake('jobs');
  return rows[0]?.created ?? 0;
}

/**
 * The same as CTEs (`new_email`, then those of `enqueueParts`) for a caller that does all its work in one statement.
 * `when` is an optional `from …` clause, which may name the mail as `m`: no row of it, no mail. The caller wakes the dispatcher. Throws a TypeError for an
 * address, a key or variables of the wrong form.
 */
export function mailParts(drafts: readonly MailDraft[], when?: Sql): Sql {
  const mails = drafts.map((draft) => ({ ...rowOf(draft), id: randomUUID() }));
  const jobs = mails.map(({ id, urgent, context }) => ({
    key: `email-${id}`,
    payload: { v: 1 as const, email_id: id },
    ...(urgent && { priority: 0 }),
    ...(context && { context }),
  }));
  // `d.key` is the run key of each planned job: only a row that is new and may be sent gets one.
  const isNew = sql`from new_email e where e.status = 'queued' and 'email-' || e.id = d.key`;
  return sql`
    new_email as (${emailInsert(mails, when)}),
    ${enqueueParts(emailQueue, 'send_email', jobs, isNew)}`;
}

const addressForm = /^[^\s<>()[\]\\,;:"@]+@[^\s<>()[\]\\,;:"@]+$/;

function rowOf(draft: MailDraft) {
  const { version, urgent, variables } = templates[draft.template] as (typeof templates)['lead_confirm'];
  if (draft.to.length > 320 || !addressForm.test(draft.to)) throw new TypeError('a mail needs one plain address');
  if (draft.dedupeKey.length < 1 || draft.dedupeKey.length > 200)
    throw new TypeError('a dedupe key has 1–200 characters');
  const checked = variables.safeParse(draft.variables);
  if (!checked.success)
    throw new TypeError(`variables of mail template ${draft.template} do not fit: ${checked.error.message}`);
  return {
    dedupeKey: draft.dedupeKey,
    template: draft.template,
    templateVersion: version,
    urgent,
    to: draft.to,
    related: draft.related,
    context: draft.context,
    variables: JSON.stringify(checked.data),
  };
}
