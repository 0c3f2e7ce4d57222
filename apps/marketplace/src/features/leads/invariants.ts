import type { Invariant } from '@fmhl/ops';

/** What must always be true of leads. */
export const leadInvariants: readonly Invariant[] = [
  {
    name: 'I12',
    title: 'A lead that is for sale for five minutes has a run that is open or dead, or a recorded outcome',
    enforcedBy:
      'the sale is planned in the transaction of the approval; the sweeper plans what vanished, after two minutes',
    next: 'see that a scheduler runs: its sweeper sells what is stuck',
    sql: `
      select l.id as lead_id, l.sale_no from v_lead l
      where l.status in ('approved', 'unsold') and not l.is_test
        and greatest(l.approved_at, l.updated_at, l.next_try_at) < clock_timestamp() - interval '5 minutes'
        and not exists (select from ops.job_run r
                        where r.run_key = 'distribute-' || l.id || '-' || l.sale_no and r.state in ('enqueued', 'dead'))
        and not exists (select from v_distribution_run d where d.lead_id = l.id and d.sale_no = l.sale_no)`,
  },
];
