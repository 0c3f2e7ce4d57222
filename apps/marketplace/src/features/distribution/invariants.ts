import type { Invariant } from '@fmhl/ops';

/** What was sold since `$1`. */
const sold = `select * from v_assignment where assigned_at >= $1::timestamptz`;

/** Whether the staff corrected an account, and so explained what is wrong at a version of it. */
const isCorrected = (account: string, version: string) => `
  exists (select from v_balance_correction c
          where c.provider_id = ${account}.provider_id and c.action <> 'alerted'
            and ${version} between c.broken_version and c.last_version)`;

/** What must always be true of sales, and of the money of each. Safe to ask at any time: each looks at committed rows of one snapshot. */
export const probes: readonly Invariant[] = [
  {
    name: 'I1',
    title: 'A provider gets a lead at most once, over all levels and retries',
    enforcedBy: 'unique (lead_id, provider_id) of the assignments',
    next: 'refund the second assignment out of goodwill',
    sql: `
      select lead_id, provider_id, count(*) as assignments from v_assignment
      where lead_id in (select lead_id from (${sold}) a)
      group by lead_id, provider_id having count(*) > 1`,
  },
  {
    name: 'I2',
    title: 'Recipients of a lead stay within every promise made for it, and its counters tell the truth',
    enforcedBy: 'unique (lead_id, slot), slot ≤ slot_cap; a check on the counters of the lead',
    next: 'refund the assignments beyond the promise out of goodwill',
    sql: `
      select l.id as lead_id, count(a.id) as assignments, min(a.slot_cap) as promise, l.assigned_count
      from v_lead l join v_assignment a on a.lead_id = l.id
      where l.id in (select lead_id from (${sold}) s)
      group by l.id, l.assigned_count, l.recipient_cap
      having count(a.id) > min(a.slot_cap) or count(a.id) <> l.assigned_count
          or max(a.slot) <> count(a.id) or min(a.slot_cap) is distinct from l.recipient_cap
      union all
      select l.id, 0, null, l.assigned_count from v_lead l
      where $1::timestamptz = '-infinity' and (l.assigned_count <> 0 or l.recipient_cap is not null)
        and not exists (select from v_assignment a where a.lead_id = l.id)`,
  },
  {
    name: 'I3',
    title: 'Each assignment has exactly one charge, of its price, on the account of its buyer',
    enforcedBy: 'charge and assignment are one statement; one charge an assignment by a unique index',
    next: 'correct the account by an adjustment with the assignment in its memo',
    sql: `
      select a.id as assignment_id, e.id as entry_id
      from (${sold}) a
      left join v_ledger_entry e on e.assignment_id = a.id and e.kind = 'lead_charge'
      where e.id is null or e.amount_cents <> -a.price_cents or e.provider_id <> a.provider_id
      union all
      select e.assignment_id, e.id from v_ledger_entry e
      where e.kind = 'lead_charge' and e.created_at >= $1::timestamptz
        and not exists (select from v_assignment a where a.id = e.assignment_id)
      union all
      select assignment_id, null from v_ledger_entry
      where kind = 'lead_charge' and created_at >= $1::timestamptz group by assignment_id having count(*) > 1`,
  },
  {
    name: 'I5',
    title: 'A balance is the sum of its entries and what the newest says; they are numbered without a gap from 1',
    enforcedBy: 'the lock of the account; unique (provider_id, account_version)',
    next: 'run the schedule balance-reconciliation, then reconcile what it could not correct',
    sql: `
      select e.provider_id, e.account_version, e.balance_after_cents, e.so_far from (
        select provider_id, account_version, balance_after_cents,
               coalesce(lag(account_version) over entries, 0) + 1 as due, sum(amount_cents) over entries as so_far
        from v_ledger_entry
        where provider_id in (select provider_id from v_account where updated_at >= $1::timestamptz)
        window entries as (partition by provider_id order by account_version)) e
      where e.account_version <> e.due and not ${isCorrected('e', 'e.due')}
         or e.balance_after_cents <> e.so_far and not ${isCorrected('e', 'e.account_version')}
      union all
      select a.provider_id, a.version, a.balance_cents, e.cents from v_account a
      left join (
        select provider_id, sum(amount_cents) as cents, max(account_version) as version from v_ledger_entry
        where provider_id in (select provider_id from v_account where updated_at >= $1::timestamptz)
        group by provider_id) e using (provider_id)
      where a.updated_at >= $1::timestamptz
        and (a.balance_cents <> coalesce(e.cents, 0)
             or a.version <> coalesce(e.version, 0) and not ${isCorrected('a', 'coalesce(e.version, 0) + 1')})`,
  },
  {
    name: 'I6',
    title: 'No balance is below zero, at any time',
    enforcedBy: 'a check of the table; a debit that is not covered changes nothing',
    next: 'fmhl audit list --target provider:<provider_id>: somebody wrote past the application',
    sql: `
      select provider_id, balance_cents, version from v_account where balance_cents < 0
      union all
      select provider_id, balance_after_cents, account_version from v_ledger_entry
      where balance_after_cents < 0 and created_at >= $1::timestamptz`,
  },
  {
    name: 'I7',
    title:
      'Only confirmed, approved, real leads are sold, after their approval, to active providers, at a level of their own',
    enforcedBy: 'what makes a lead or a provider fit is read again under the locks of the sale',
    next: 'refund the assignment out of goodwill, and look at its run: fmhl audit list --target lead:<id>',
    sql: `
      select a.id as assignment_id
      from (${sold}) a
      join v_lead l on l.id = a.lead_id
      join v_subscription s on s.id = a.subscription_id
      join v_level v on v.id = a.level_id
      where l.is_test or l.confirmed_at is null or l.approved_at is null or l.approved_at > a.assigned_at
         or l.status not in ('distributed', 'bad') or s.provider_id <> a.provider_id or s.level_id <> a.level_id
         or v.niche_id <> l.niche_id or l.erased_at < a.assigned_at
         or exists (
           select from v_provider p
           cross join lateral (values ('provider', p.id::text), ('user', p.user_id::text)) who(type, id)
           join ops.audit_log t on t.target_type = who.type and t.target_id = who.id
           where p.id = a.provider_id and t.action in ('provider.suspended', 'provider.closed', 'user.disabled')
             and t.at < a.assigned_at
             and not exists (select from ops.audit_log r
                             where r.target_type = t.target_type and r.target_id = t.target_id
                               and r.action in ('provider.reinstated', 'user.enabled') and r.at > t.at and r.at < a.assigned_at))`,
  },
  {
    name: 'I8',
    title: "A daily cap holds in the provider's own day, and the sales of a day are numbered without a gap",
    enforcedBy: 'cap_n ≤ cap_limit; unique (subscription_id, cap_day, cap_n)',
    next: 'refund what is beyond the cap out of goodwill',
    sql: `
      select subscription_id, cap_day, count(*) as sold, max(cap_n) as numbered from v_assignment
      where (subscription_id, cap_day) in (select subscription_id, cap_day from (${sold}) a)
      group by subscription_id, cap_day
      having count(*) <> max(cap_n) or bool_or(cap_n > cap_limit)`,
  },
  {
    name: 'I10',
    title: 'Each assignment has exactly one mail that tells of a new lead, whatever is retried',
    enforcedBy: 'unique dedupe_key, in the transaction of the sale; the sweeper promises what is missing',
    next: 'see that a scheduler runs: its sweeper promises missing mails of the last day',
    // A mail that the staff had sent anew is one of its own.
    sql: `
      select a.id as assignment_id, null::uuid as email_id from (${sold}) a
      where not exists (select from v_email m where m.dedupe_key = 'new_lead:' || a.id)
      union all
      select null, m.id from v_email m
      where m.template = 'new_lead' and m.created_at >= $1::timestamptz and m.dedupe_key not like 'resend:%'
        and not exists (
          select from v_assignment a
          where a.id = case when pg_input_is_valid(substr(m.dedupe_key, 10), 'uuid') then substr(m.dedupe_key, 10)::uuid end)`,
  },
  {
    name: 'I11',
    title:
      'Entries of the ledger, consents, acts and terms of sales are never changed: no row since the counters began, nobody may, and triggers refuse',
    enforcedBy: 'UPDATE and DELETE are revoked; triggers raise',
    next: 'find out who could write to the table; fmhl migrate roles --print gives the rights back as they should be',
    sql: `
      with kept (name, trigger, changes) as (values
        ('public.ledger_entry', 'ledger_entry_append_only', true), ('public.lead_consent', 'lead_consent_append_only', true),
        ('ops.audit_log', 'audit_log_append_only', true), ('ops.audit_chain', 'audit_chain_append_only', true),
        ('public.assignment', 'assignment_terms_fixed', false), ('public.assignment', 'assignment_never_deleted', false))
      select k.name as table_name, 'rows were changed or deleted' as fault,
             case when k.changes then s.n_tup_upd else 0 end + s.n_tup_del as rows
      from (select distinct name, changes from kept) k join pg_stat_user_tables s on s.relid = k.name::regclass
      where s.n_tup_del > 0 or (k.changes and s.n_tup_upd > 0)
      union all
      select k.name, 'no trigger ' || k.trigger, null from kept k
      where not exists (select from pg_trigger t
                        where t.tgrelid = k.name::regclass and t.tgname = k.trigger and t.tgenabled in ('O', 'A'))
      union all
      select k.name, 'may be changed by ' || coalesce(r.rolname, 'everybody'), null
      from (select distinct name from kept where changes) k
      join pg_class c on c.oid = k.name::regclass
      cross join lateral aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
      where a.grantee <> c.relowner and a.privilege_type in ('UPDATE', 'DELETE', 'TRUNCATE')`,
  },
];
