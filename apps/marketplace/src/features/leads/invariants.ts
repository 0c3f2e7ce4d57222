import type { Invariant } from '@fmhl/ops';
import { offeredForHours } from './retry-plan.ts';

/** What must always be true of leads. */
export const leadInvariants: readonly Invariant[] = [
  {
    name: 'I12',
    title:
      'A lead that was approved in the last 72 hours and is for sale for five minutes has a run that is open or dead, or a recorded outcome',
    enforcedBy:
      'the sale is planned in the transaction of the approval; the sweeper plans what vanished, after two minutes',
    next: 'see that a scheduler runs: its sweeper sells what is stuck',
    sql: `
      select l.id as lead_id, l.sale_no from v_lead l
      where l.status in ('approved', 'unsold') and not l.is_test
        and greatest(l.approved_at, l.updated_at, l.next_try_at) < clock_timestamp() - interval '5 minutes'
        and l.approved_at > clock_timestamp() - interval '${offeredForHours} hours'
        and not exists (select from ops.job_run r
                        where r.run_key = 'distribute-' || l.id || '-' || l.sale_no and r.state in ('enqueued', 'dead'))
        and not exists (select from v_distribution_run d where d.lead_id = l.id and d.sale_no = l.sale_no)`,
  },
  {
    name: 'lead_erasure',
    title: 'A lead that was erased tells nothing of its person, and is not for sale',
    enforcedBy: 'one statement removes all of it, under the lock of the lead; a sale reads the lead behind that lock',
    next: 'erase it again by hand, and find out what wrote to it',
    sql: `
      select p.lead_id, l.status from v_lead_person p join v_lead l on l.id = p.lead_id
      where p.erased_at is not null
        and (p.name is not null or p.email is not null or p.phone_e164 is not null or p.form <> '{}'
             or l.status in ('pending_confirmation', 'pending_approval', 'approved', 'unsold'))`,
  },
];
