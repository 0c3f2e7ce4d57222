import { randomUUID } from 'node:crypto';
import { type Actor, audit, enqueue, sql, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import { emailQueue } from '../../queues.ts';
import { erasedAddress } from './erase-mails.ts';
import { isUrgent } from './templates.ts';

interface Original {
  template: string;
  to_address: string;
  status: 'queued' | 'sending' | 'sent' | 'failed' | 'suppressed';
  resends: number;
  suppressed: boolean;
  /** The last time it was sent anew is not over. */
  under_way: boolean;
}

export interface Resend {
  readonly emailId: string;
  readonly memo: string;
  readonly liftSuppression: boolean;
  readonly actor: Actor;
}

/**
 * Sends a mail that has come to an end once more, as a mail of its own with the same variables; its links are made anew. Refuses `not_found`,
 * `in_progress` while it or the last repetition still waits, `address_suppressed`, and `invalid_state` once its address was erased.
 */
export async function resendMail(tx: Tx, { emailId, memo, liftSuppression, actor }: Resend): Promise<{ id: string }> {
  const original = await lockOriginal(tx, emailId);
  const { status, template, to_address, resends, suppressed, under_way } = original;
  if (to_address === erasedAddress) throw refuse('invalid_state', { status: 'erased' });
  if (status === 'queued' || status === 'sending' || under_way) throw refuse('in_progress');
  if (suppressed && !liftSuppression) throw refuse('address_suppressed');
  if (suppressed) await tx.query(sql`delete from email_suppression where address = lower(${to_address})`);
  const id = randomUUID();
  await tx.query(sql`
    with counted as (
      update email set resends = resends + 1, updated_at = clock_timestamp(), version = version + 1 where id = ${emailId})
    insert into email (id, dedupe_key, template, template_version, to_address, related_type, related_id, variables, status)
    select ${id}::uuid, ${repetitionKey(emailId, resends + 1)}, template, template_version, to_address, related_type, related_id,
           variables, 'queued'
    from email where id = ${emailId}`);
  const urgency = isUrgent(template) ? { priority: 0 } : {};
  await enqueue(tx, emailQueue, 'send_email', { v: 1, email_id: id }, { key: `email-${id}`, ...urgency });
  const details = { email_id: id, suppression_lifted: suppressed };
  await audit(tx, { actor, action: 'email.resent', targetType: 'email', targetId: emailId, reason: memo, details });
  return { id };
}

const repetitionKey = (emailId: string, nth: number) => `resend:${emailId}:${nth}`;

/** Two statements: the second must see what was committed while the first waited for its lock. */
async function lockOriginal(tx: Tx, id: string): Promise<Original> {
  await tx.query(sql`select from email where id = ${id} for no key update`);
  const { rows } = await tx.query<Original>(sql`
    select m.template, m.to_address, m.status, m.resends,
           exists (select from email_suppression s where s.address = lower(m.to_address)) as suppressed,
           exists (select from email r where r.dedupe_key = 'resend:' || m.id || ':' || m.resends
                   and r.status in ('queued', 'sending')) as under_way
    from email m where m.id = ${id}`);
  const [original] = rows;
  if (!original) throw refuse('not_found');
  return original;
}
