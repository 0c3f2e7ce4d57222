import type { Invariant } from '@fmhl/ops';
import { alertCents, toleranceCents } from './discrepancy.ts';

/** Accounts that moved since `$1`. */
const moved = `select provider_id from v_account where updated_at >= $1::timestamptz`;

/** What each account that moved holds, and what its ledger says. */
const sums = `
  select a.provider_id, a.balance_cents, a.version, coalesce(e.cents, 0) as ledger_cents, coalesce(e.last, 0) as last,
         e.newest_cents
  from v_account a
  left join (
    select provider_id, sum(amount_cents) as cents, max(account_version) as last,
           (array_agg(balance_after_cents order by account_version desc))[1] as newest_cents
    from v_ledger_entry where provider_id in (${moved}) group by provider_id) e using (provider_id)
  where a.updated_at >= $1::timestamptz`;

const openCase = (account: string) => `
  exists (select from v_balance_correction c
          where c.provider_id = ${account}.provider_id and c.action = 'alerted' and c.closed_at is null)`;

/** Whether a correction has explained what is wrong at a version of an account. */
const explained = (account: string, version: string) => `
  exists (select from v_balance_correction c
          where c.provider_id = ${account}.provider_id and c.action <> 'alerted'
            and ${version} between c.broken_version and c.last_version)`;

/** What must always be true of money. */
export const moneyInvariants: readonly Invariant[] = [
  {
    name: 'M1',
    title:
      'A balance is the sum of its entries and what the newest of them says, to the cent, or a case or correction explains it.',
    enforcedBy: 'balance and entry are written by one statement; reconciliation finds what bypassed it',
    next: 'run the schedule balance-reconciliation, then reconcile what it could not correct',
    sql: `
      select s.provider_id, s.balance_cents, s.ledger_cents, s.newest_cents
      from (${sums}) s
      where (abs(s.balance_cents - s.ledger_cents) > ${toleranceCents}
             or abs(s.balance_cents - coalesce(s.newest_cents, 0)) > ${toleranceCents}
                and not exists (select from v_balance_correction c
                                where c.provider_id = s.provider_id and c.action <> 'alerted' and c.last_version >= s.last))
        and not ${openCase('s')}`,
  },
  {
    name: 'M2',
    title:
      'Entries of an account are numbered without a gap up to its version, and each balance follows from the one before.',
    enforcedBy: 'the lock of the account; unique numbers; entries are never changed',
    next: 'run the schedule balance-reconciliation: it names the first broken version',
    sql: `
      select e.provider_id, e.version, e.reason from (
        select provider_id, coalesce(lag(account_version) over entries, 0) + 1 as version, 'number missing' as reason,
               account_version <> coalesce(lag(account_version) over entries, 0) + 1 as is_wrong
        from v_ledger_entry where provider_id in (${moved}) window entries as (partition by provider_id order by account_version)
        union all
        select provider_id, account_version, 'balance does not follow',
               abs(balance_after_cents - sum(amount_cents) over (partition by provider_id order by account_version))
                 > ${toleranceCents}
        from v_ledger_entry where provider_id in (${moved})
        union all
        select a.provider_id, coalesce(max(l.account_version), 0) + 1, 'number missing behind the last',
               a.version <> coalesce(max(l.account_version), 0)
        from v_account a left join v_ledger_entry l using (provider_id)
        where a.updated_at >= $1::timestamptz group by a.provider_id, a.version) e
      where e.is_wrong and not ${explained('e', 'e.version')} and not ${openCase('e')}`,
  },
  {
    name: 'M7',
    title: 'Each payment that succeeded has one entry of its amount on its provider’s account, and no other has one.',
    enforcedBy: 'settling a payment and crediting it are one transaction; one deposit entry a payment',
    next: 'look at the payment’s events; credit or take back by an adjustment',
    sql: `
      select p.id as payment_id, e.id as entry_id, p.status
      from v_payment p left join v_ledger_entry e on e.payment_id = p.id and e.kind = 'deposit'
      where p.status = 'succeeded' and p.updated_at >= $1::timestamptz
        and (e.id is null or e.amount_cents <> p.amount_cents or e.provider_id <> p.provider_id)
      union all
      select e.payment_id, e.id, p.status
      from v_ledger_entry e left join v_payment p on p.id = e.payment_id
      where e.kind = 'deposit' and e.created_at >= $1::timestamptz and p.status is distinct from 'succeeded'`,
  },
  {
    name: 'M8',
    title: 'A difference beyond a cent is a case that waits for a person; no machine corrected more than a dollar.',
    enforcedBy: 'reconciliation records and corrects in one transaction; a check on its records',
    next: 'run the schedule balance-reconciliation',
    sql: `
      select c.provider_id, c.id as correction_id, c.diff_cents, 'corrected though large' as reason
      from v_balance_correction c where c.action = 'corrected' and abs(c.diff_cents) > ${alertCents}
      union all
      select s.provider_id, null, (s.balance_cents - s.ledger_cents)::bigint, 'difference without a case'
      from (${sums}) s
      where abs(s.balance_cents - s.ledger_cents) > ${toleranceCents} and not ${openCase('s')}`,
  },
];
