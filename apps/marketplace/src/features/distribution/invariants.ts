/** A read-only query that answers the rows which break an invariant: none, ever. */
export interface Probe {
  /** `I1` … as the reference numbers them. */
  readonly name: string;
  readonly sql: string;
}

/** What must always be true of sales and money. Safe to run at any time: each looks at committed rows of one snapshot. */
export const probes: readonly Probe[] = [
  {
    // A provider gets a lead at most once.
    name: 'I1',
    sql: `select lead_id, provider_id from v_assignment group by lead_id, provider_id having count(*) > 1`,
  },
  {
    // Recipients of a lead stay within every promise made for it, and the lead's counters tell the truth.
    name: 'I2',
    sql: `
      select l.id as lead_id, count(a.id), min(a.slot_cap)
      from v_lead l left join v_assignment a on a.lead_id = l.id
      group by l.id, l.assigned_count, l.recipient_cap
      having count(a.id) > coalesce(min(a.slot_cap), 0) or count(a.id) <> l.assigned_count
          or max(a.slot) <> count(a.id) or min(a.slot_cap) is distinct from l.recipient_cap`,
  },
  {
    // Exactly one charge per assignment, of its price, on the buyer's account.
    name: 'I3',
    sql: `
      select a.id as assignment_id, e.id as entry_id
      from v_assignment a
      full join (select * from v_ledger_entry where kind = 'lead_charge') e on e.assignment_id = a.id
      where a.id is null or e.id is null or e.amount_cents <> -a.price_cents or e.provider_id <> a.provider_id`,
  },
  {
    // The balance is the sum of the entries; each follows from the one before; numbers are dense from 1. What was wrong and has been
    // corrected is explained by the record of that.
    name: 'I5',
    sql: `
      select e.provider_id, e.version from (
        select provider_id, coalesce(lag(account_version) over entries, 0) + 1 as version,
               account_version <> coalesce(lag(account_version) over entries, 0) + 1 as is_wrong
        from v_ledger_entry window entries as (partition by provider_id order by account_version)
        union all
        select provider_id, account_version,
               balance_after_cents <> sum(amount_cents) over (partition by provider_id order by account_version)
        from v_ledger_entry
        union all
        select a.provider_id, coalesce(l.last, 0) + 1, a.version <> coalesce(l.last, 0)
        from v_account a
        left join (select provider_id, max(account_version) as last from v_ledger_entry group by provider_id) l using (provider_id)) e
      where e.is_wrong
        and not exists (select from v_balance_correction c
                        where c.provider_id = e.provider_id and c.action <> 'alerted'
                          and e.version between c.broken_version and c.last_version)
      union all
      select a.provider_id, null from v_account a
      left join (select provider_id, sum(amount_cents) as cents from v_ledger_entry group by provider_id) e using (provider_id)
      where a.balance_cents <> coalesce(e.cents, 0)`,
  },
  {
    // No balance below zero, at any time.
    name: 'I6',
    sql: `
      select provider_id from v_account where balance_cents < 0
      union all
      select provider_id from v_ledger_entry where balance_after_cents < 0`,
  },
  {
    // Only confirmed, approved, real leads are sold, after their approval, to the subscription's own provider and level.
    name: 'I7',
    sql: `
      select a.id as assignment_id
      from v_assignment a
      join v_lead l on l.id = a.lead_id
      join v_subscription s on s.id = a.subscription_id
      join v_level v on v.id = a.level_id
      where l.is_test or l.confirmed_at is null or l.approved_at is null or l.approved_at > a.assigned_at
         or l.status not in ('distributed', 'bad') or s.provider_id <> a.provider_id or s.level_id <> a.level_id
         or v.niche_id <> l.niche_id
         or exists (
           select from ops.audit_log t
           where t.target_type = 'provider' and t.target_id = a.provider_id::text
             and t.action in ('provider.suspended', 'provider.closed') and t.at < a.assigned_at
             and not exists (select from ops.audit_log r
                             where r.target_type = 'provider' and r.target_id = t.target_id and r.action = 'provider.reinstated'
                               and r.at > t.at and r.at < a.assigned_at))`,
  },
  {
    // A daily cap is never exceeded in the provider's own day, and the sales of a day are numbered without a gap.
    name: 'I8',
    sql: `
      select subscription_id, cap_day from v_assignment
      group by subscription_id, cap_day
      having count(*) <> max(cap_n) or bool_or(cap_n > cap_limit)`,
  },
  {
    // Each assignment has exactly one new-lead mail.
    name: 'I10',
    sql: `
      select a.id as assignment_id from v_assignment a
      left join v_email m on m.dedupe_key = 'new_lead:' || a.id
      where m.id is null
      union all
      select m.related_id from v_email m
      where m.template = 'new_lead' and not exists (select from v_assignment a where 'new_lead:' || a.id = m.dedupe_key)`,
  },
];
