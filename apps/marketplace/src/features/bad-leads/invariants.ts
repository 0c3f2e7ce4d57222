import type { Invariant } from '@fmhl/ops';

/** What must always be true of refunds and reports. */
export const badLeadInvariants: readonly Invariant[] = [
  {
    name: 'I4',
    title:
      'An assignment is refunded at most once, what was charged, to who was charged; and is marked so exactly then.',
    enforcedBy: 'ledger_entry_refund (assignment_id); refunded_at is set once, in the statement that credits',
    sql: `
      select r.assignment_id, r.id as entry_id
      from v_ledger_entry r
      left join v_assignment a on a.id = r.assignment_id
      left join v_ledger_entry c on c.kind = 'lead_charge' and c.assignment_id = r.assignment_id
      where r.kind = 'lead_refund' and r.created_at >= $1::timestamptz
        and (a.refunded_at is null or c.id is null or r.amount_cents <> -c.amount_cents or r.provider_id <> c.provider_id)
      union all
      select a.id, null from v_assignment a
      where a.refunded_at >= $1::timestamptz
        and not exists (select from v_ledger_entry r where r.kind = 'lead_refund' and r.assignment_id = a.id)
      union all
      select assignment_id, null from v_ledger_entry
      where kind = 'lead_refund' and created_at >= $1::timestamptz group by assignment_id having count(*) > 1`,
  },
  {
    name: 'bad_lead_reports',
    title:
      'What is refunded was approved, in whatever way, and what was approved is refunded; a report is of its buyer.',
    enforcedBy: 'one transaction for approval and refund, the row of the report locked first',
    sql: `
      select r.assignment_id
      from v_bad_lead_report r left join v_assignment a on a.id = r.assignment_id
      where (r.created_at >= $1::timestamptz or r.resolved_at >= $1::timestamptz)
        and (a.id is null or (a.refunded_at is not null) <> (r.status = 'approved') or r.provider_id <> a.provider_id)
      union
      select a.id from v_assignment a
      where a.refunded_at >= $1::timestamptz
        and not exists (select from v_bad_lead_report r where r.assignment_id = a.id and r.status = 'approved')`,
  },
  {
    name: 'bad_leads',
    title: 'A lead is bad for all its buyers, who are refunded, or for none.',
    enforcedBy: 'one transaction for the lead and all its refunds, the row of the lead locked first',
    sql: `
      select l.id as lead_id, a.id as assignment_id
      from v_lead l left join v_assignment a on a.lead_id = l.id
      where l.status = 'bad' and (a.id is null or a.refunded_at is null or l.bad_at is null)
      union all
      select id, null from v_lead where $1::timestamptz = '-infinity' and bad_at is not null and status <> 'bad'
      union all
      select a.lead_id, a.id
      from v_bad_lead_report r join v_assignment a on a.id = r.assignment_id join v_lead l on l.id = a.lead_id
      where r.via = 'mark_bad' and l.status <> 'bad'`,
  },
];
