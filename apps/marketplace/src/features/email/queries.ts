import { prepared, type Queryable, type Sql, sql } from '@fmhl/ops';

export interface EmailRow {
  readonly id: string;
  readonly dedupeKey: string;
  readonly template: string;
  readonly templateVersion: number;
  readonly to: string;
  readonly related: { readonly type: string; readonly id: string } | undefined;
  /** JSON. */
  readonly variables: string;
}

export function emailInsert(rows: readonly EmailRow[], when?: Sql): Sql {
  return sql`
    insert into email (id, dedupe_key, template, template_version, to_address, related_type, related_id, variables, status)
    select m.id, m.dedupe_key, m.template, m.template_version, m.to_address, m.related_type, m.related_id, m.variables,
           case when exists (select from email_suppression s where s.address = lower(m.to_address))
                then 'suppressed' else 'queued' end
    from unnest(${rows.map((row) => row.id)}::uuid[], ${rows.map((row) => row.dedupeKey)}::text[],
                ${rows.map((row) => row.template)}::text[], ${rows.map((row) => row.templateVersion)}::int[],
                ${rows.map((row) => row.to)}::text[], ${rows.map((row) => row.related?.type ?? null)}::text[],
                ${rows.map((row) => row.related?.id ?? null)}::uuid[], ${rows.map((row) => row.variables)}::jsonb[])
      as m(id, dedupe_key, template, template_version, to_address, related_type, related_id, variables)
    ${when ? sql`where exists (select ${when})` : sql``}
    on conflict (dedupe_key) do nothing
    returning id, status`;
}

/** What sending one mail needs. */
export interface ClaimedMail {
  readonly id: string;
  readonly template: string;
  readonly to_address: string;
  readonly variables: unknown;
  /** With its angle brackets; the same for every attempt. */
  readonly message_id: string;
  /** `suppressed`: its address took a refusal since the mail was queued, and this was its end. */
  readonly status: 'sending' | 'suppressed';
}

/**
 * Claims those of these mails that have not come to an end, in one commit. `host` is the right side of their message ids.
 * Lists stand in a subselect, here and below: else Postgres plans anew for each number of mails, which takes longer than to claim them.
 */
export async function claimMails(db: Queryable, ids: readonly string[], host: string): Promise<ClaimedMail[]> {
  const isSuppressed = sql`exists (select from email_suppression s where s.address = lower(e.to_address))`;
  const { rows } = await db.query<ClaimedMail>(
    prepared(
      'claim_mails',
      sql`
        update email e
        set status = c.status, updated_at = clock_timestamp(), version = e.version + 1,
            attempts = e.attempts + (c.status = 'sending')::int,
            message_id = '<' || e.id || '@' || ${host} || '>',
            sending_since = case when c.status = 'sending' then clock_timestamp() else e.sending_since end
        from (select e.id, case when ${isSuppressed} then 'suppressed' else 'sending' end as status
              from email e where e.id = any((select ${ids}::uuid[])::uuid[])) c
        where e.id = c.id and e.status in ('queued', 'sending')
        returning e.id, e.template, e.to_address, e.variables, e.message_id, e.status`,
    ),
  );
  return rows;
}

/** Whether there is such a mail, ended or not. */
export async function mailExists(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(sql`select from email where id = ${id}`);
  return rowCount === 1;
}

/** A mail that the server took, and its answer. */
export interface AcceptedMail {
  readonly id: string;
  readonly smtpCode: number;
}

/** Marks mails sent, in one commit. One that was ended meanwhile stays as it is. */
export async function markSent(db: Queryable, mails: readonly AcceptedMail[]): Promise<void> {
  await db.query(
    prepared(
      'mails_sent',
      sql`
        update email e
        set status = 'sent', sent_at = clock_timestamp(), smtp_code = a.smtp_code, last_error = null,
            updated_at = clock_timestamp(), version = e.version + 1
        from unnest((select ${mails.map(({ id }) => id)}::uuid[]), (select ${mails.map(({ smtpCode }) => smtpCode)}::int[]))
          as a(id, smtp_code)
        where e.id = a.id and e.status = 'sending'`,
    ),
  );
}

/** Back in the queue after a failure that may pass. */
export async function markWaiting(
  db: Queryable,
  id: string,
  failure: { smtpCode?: number; summary: string },
): Promise<void> {
  await db.query(
    prepared(
      'mail_waits',
      sql`
        update email set status = 'queued', smtp_code = ${failure.smtpCode ?? null}, last_error = ${failure.summary},
            updated_at = clock_timestamp(), version = version + 1
        where id = ${id} and status in ('queued', 'sending')`,
    ),
  );
}

/** Back in the queue, as what it was: nothing left the house. */
export async function markUnwritable(db: Queryable, id: string): Promise<void> {
  await db.query(sql`
    update email set status = 'queued', attempts = attempts - 1, last_error = 'unwritable',
                     updated_at = clock_timestamp(), version = version + 1
    where id = ${id} and status = 'sending'`);
}

/** The mailbox refused: the mail has failed, and its address gets no more. */
export async function markRefused(
  db: Queryable,
  id: string,
  failure: { smtpCode?: number; summary: string },
): Promise<void> {
  await db.query(sql`
    with failed as (
      update email set status = 'failed', smtp_code = ${failure.smtpCode ?? null}, last_error = ${failure.summary},
                       updated_at = clock_timestamp(), version = version + 1
      where id = ${id} and status in ('queued', 'sending')
      returning to_address)
    insert into email_suppression (address, reason)
    select lower(to_address), 'mailbox_refused' from failed
    on conflict (address) do nothing`);
}
