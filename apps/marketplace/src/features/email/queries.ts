import { type Queryable, type Sql, sql } from '@fmhl/ops';

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
export interface Mail {
  readonly template: string;
  readonly to_address: string;
  readonly variables: unknown;
  readonly status: 'queued' | 'sending' | 'sent' | 'failed' | 'suppressed';
  /** The address took a refusal since the mail was queued. */
  readonly suppressed: boolean;
}

export async function readMail(db: Queryable, id: string): Promise<Mail | undefined> {
  const { rows } = await db.query<Mail>(sql`
    select template, to_address, variables, status,
           exists (select from email_suppression s where s.address = lower(to_address)) as suppressed
    from email where id = ${id}`);
  return rows[0];
}

/** False when the mail has meanwhile come to an end. */
export async function markSending(db: Queryable, id: string, messageId: string): Promise<boolean> {
  const { rowCount } = await db.query(sql`
    update email set status = 'sending', attempts = attempts + 1, message_id = ${messageId},
                     sending_since = clock_timestamp(), updated_at = clock_timestamp(), version = version + 1
    where id = ${id} and status in ('queued', 'sending')`);
  return rowCount === 1;
}

export async function markSent(db: Queryable, id: string, smtpCode: number): Promise<void> {
  await db.query(sql`
    update email set status = 'sent', sent_at = clock_timestamp(), smtp_code = ${smtpCode}, last_error = null,
                     updated_at = clock_timestamp(), version = version + 1
    where id = ${id} and status = 'sending'`);
}

/** Back in the queue after a failure that may pass. */
export async function markWaiting(
  db: Queryable,
  id: string,
  failure: { smtpCode?: number; summary: string },
): Promise<void> {
  await db.query(sql`
    update email set status = 'queued', smtp_code = ${failure.smtpCode ?? null}, last_error = ${failure.summary},
                     updated_at = clock_timestamp(), version = version + 1
    where id = ${id} and status in ('queued', 'sending')`);
}

export async function markSuppressed(db: Queryable, id: string): Promise<void> {
  await db.query(sql`
    update email set status = 'suppressed', updated_at = clock_timestamp(), version = version + 1
    where id = ${id} and status in ('queued', 'sending')`);
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
