import { enqueueMany, sql, type Tx } from '@fmhl/ops';
import { emailQueue } from '../../queues.ts';
import { isUrgent } from './templates.ts';

/**
 * Plans the sending of mails that wait without a run, and answers how many: each is a repair worth counting. One that has a run is left
 * alone, also when it died, which a person must judge; so is one older than a day, whose run may be forgotten by now. For a loop.
 */
export async function requeueMails(tx: Tx, { limit }: { limit: number }): Promise<number> {
  const { rows } = await tx.query<{ id: string; template: string }>(sql`
    select m.id, m.template from email m
    where m.created_at > now() - interval '1 day' and m.status in ('queued', 'sending')
      and m.updated_at < now() - interval '5 minutes'
      and not exists (select from ops.job_run r where r.run_key = 'email-' || m.id)
    order by m.created_at limit ${limit}`);
  const drafts = rows.map(({ id, template }) => ({
    key: `email-${id}`,
    payload: { v: 1 as const, email_id: id },
    ...(isUrgent(template) && { priority: 0 }),
  }));
  return enqueueMany(tx, emailQueue, 'send_email', drafts);
}
