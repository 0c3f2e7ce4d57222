import { currentContext, type Sql, sql } from '@fmhl/ops';

/**
 * The first part of every charge: the CTE `deb`, which takes `priceCents` from each provider of the CTE `w (provider, …)` that can pay.
 * Who cannot pay has no row in `deb`, so nothing that selects from it exists for them: compare the counts, and roll back when they differ.
 * Rows: provider_id, balance_cents and version after the charge, crossed_low, low_balance_cents.
 * Lock the accounts by provider id before.
 */
export function debitFragment(priceCents: number): Sql {
  return sql`
    deb as (
      update account a
      set balance_cents = a.balance_cents - ${priceCents}::bigint, version = a.version + 1, updated_at = clock_timestamp(),
          low_alerted_at = ${lowAlertAfter(sql`a.balance_cents - ${priceCents}::bigint`, sql`a`)}
      from w
      where a.provider_id = w.provider and a.balance_cents >= ${priceCents}::bigint
      returning a.provider_id, a.balance_cents, a.version, a.low_balance_cents, ${crossedLow(sql`a`)} as crossed_low)`;
}

/**
 * The second part: the CTE `ent`, one ledger entry for each row of the CTEs `deb` and `asg (id, provider_id)`, the assignments sold.
 * Rows: id, assignment_id.
 */
export function chargeEntriesFragment(priceCents: number): Sql {
  return sql`
    ent as (
      insert into ledger_entry (provider_id, account_version, kind, amount_cents, balance_after_cents, assignment_id, actor,
                                correlation_id)
      select d.provider_id, d.version, 'lead_charge', -${priceCents}::bigint, d.balance_cents, a.id, 'system',
             ${currentContext()?.correlationId ?? 'none'}
      from deb d join asg a using (provider_id)
      returning id, assignment_id)`;
}

/** The moment of the note about a low balance: this transaction's when `balance` crosses the threshold now, none when it is back above. */
export function lowAlertAfter(balance: Sql, account: Sql): Sql {
  return sql`case when ${balance} < ${account}.low_balance_cents then coalesce(${account}.low_alerted_at, now()) end`;
}

/** True when the present transaction is the one that crossed the threshold: `now()` is its start. */
export function crossedLow(account: Sql): Sql {
  return sql`(${account}.low_alerted_at is not distinct from now())`;
}
