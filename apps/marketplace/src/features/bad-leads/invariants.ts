import type { Invariant } from '@fmhl/ops';

/** What must always be true of refunds and reports: read-only queries that answer the rows which break it. */
export const probes: readonly Invariant[] = [
  {
    // At most one refund per assignment, of what was charged, to who was charged; and marked on the assignment, exactly then.
    name: 'I4',
    sql: `
      select coalesce(a.id, r.assignment_id) as assignment_id, r.id as entry_id
      from v_assignment a
      full join (select * from v_ledger_entry where kind = 'lead_refund') r on r.assignment_id = a.id
      left join v_ledger_entry c on c.kind = 'lead_charge' and c.assignment_id = r.assignment_id
      where (a.refunded_at is not null) <> (r.id is not null)
         or (r.id is not null and (a.id is null or c.id is null or r.amount_cents <> -c.amount_cents or r.provider_id <> c.provider_id))
      union all
      select assignment_id, null from v_ledger_entry where kind = 'lead_refund' group by assignment_id having count(*) > 1`,
  },
  {
    // What is refunded was approved, by whatever way, and what was approved is refunded; a report is of its buyer.
    name: 'bad_lead_reports',
    sql: `
      select coalesce(a.id, r.assignment_id) as assignment_id
      from v_assignment a
      full join v_bad_lead_report r on r.assignment_id = a.id
      where a.id is null
         or (a.refunded_at is not null) <> (r.status is not distinct from 'approved')
         or r.provider_id <> a.provider_id`,
  },
  {
    // A lead is bad for all its buyers or for none.
    name: 'bad_leads',
    sql: `
      select l.id as lead_id, a.id as assignment_id
      from v_lead l left join v_assignment a on a.lead_id = l.id
      where (l.status = 'bad' and (a.id is null or a.refunded_at is null)) or (l.status = 'bad') <> (l.bad_at is not null)
      union all
      select a.lead_id, a.id
      from v_bad_lead_report r join v_assignment a on a.id = r.assignment_id join v_lead l on l.id = a.lead_id
      where r.via = 'mark_bad' and l.status <> 'bad'`,
  },
];
