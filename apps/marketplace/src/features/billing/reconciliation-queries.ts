import { currentContext, type Queryable, type Sql, sql } from '@fmhl/ops';
import { crossedLow, lowAlertAfter } from './charge.ts';
import type { Cause, Finding } from './discrepancy.ts';

export interface Snapshot {
  providers: number;
  balance_cents: number;
  ledger_cents: number;
  /** Accounts that disagree with their ledger, or seem to. In order. */
  suspects: string[];
}

/**
 * Compares every account with its ledger in one statement, so on one snapshot. Whether each balance follows from the one before is judged
 * by two sums, which costs no sort: over dense versions, the balances after the entries add up to each amount times the entries it lasts.
 */
export const snapshotStatement: Sql = sql`
  with ledger as (
    select provider_id, sum(amount_cents) as cents, count(*) as entries, max(account_version) as last,
           sum(balance_after_cents) as balances, sum(amount_cents * account_version) as weighted
    from ledger_entry group by provider_id),
  checked as (
    select a.provider_id, a.balance_cents, coalesce(l.cents, 0) as cents,
           a.balance_cents <> coalesce(l.cents, 0) or a.version <> coalesce(l.entries, 0) or a.version <> coalesce(l.last, 0)
             or l.balances <> (l.last + 1) * l.cents - l.weighted as is_suspect
    from account a left join ledger l using (provider_id))
  select count(*)::int as providers, coalesce(sum(balance_cents), 0)::bigint as balance_cents,
         coalesce(sum(cents), 0)::bigint as ledger_cents,
         coalesce(array_agg(provider_id order by provider_id) filter (where is_suspect), '{}') as suspects
  from checked`;

export async function readSnapshot(tx: Queryable): Promise<Snapshot> {
  const { rows } = await tx.query<Snapshot>(snapshotStatement);
  return rows[0] as Snapshot;
}

export interface AccountFinding extends Finding {
  /** The account's number; its newest entry may have another, if the chain is broken. */
  readonly version: number;
  readonly lastVersion: number;
  readonly brokenVersion: number | null;
}

interface FindingRow {
  provider_id: string;
  balance_cents: number;
  version: number;
  ledger_cents: number;
  last_version: number;
  broken_version: number | null;
  has_gap: boolean;
  stray_cents: number;
  has_open_case: boolean;
}

/** Locks accounts, in order, and reads each with its ledger as they are now. */
export async function lockFindings(tx: Queryable, providerIds: readonly string[]): Promise<AccountFinding[]> {
  await tx.query(sql`
    select from account where provider_id = any(${providerIds}::uuid[]) order by provider_id for no key update`);
  const { rows } = await tx.query<FindingRow>(findingsStatement(providerIds));
  return rows.map((row) => ({
    providerId: row.provider_id,
    cachedCents: row.balance_cents,
    ledgerCents: row.ledger_cents,
    version: row.version,
    lastVersion: row.last_version,
    brokenVersion: row.broken_version,
    hasGap: row.has_gap,
    strayCents: row.stray_cents,
    hasOpenCase: row.has_open_case,
  }));
}

/** What a correction has explained is not found again. */
const uncovered = sql`
  not exists (select from balance_correction c
              where c.provider_id = b.provider_id and c.action <> 'alerted'
                and b.version between c.broken_version and c.last_version)`;

export function findingsStatement(providerIds: readonly string[]): Sql {
  return sql`
    with entry as (
      select provider_id, account_version as version, balance_after_cents, sum(amount_cents) over entries as so_far,
             coalesce(lag(account_version) over entries, 0) + 1 as due
      from ledger_entry where provider_id = any(${providerIds}::uuid[])
      window entries as (partition by provider_id order by account_version)),
    ended as (
      select a.provider_id, a.balance_cents, a.version, coalesce(max(e.version), 0) as last,
             coalesce((array_agg(e.so_far order by e.version desc))[1], 0) as cents
      from account a left join entry e using (provider_id)
      where a.provider_id = any(${providerIds}::uuid[])
      group by a.provider_id),
    flaw as (
      select provider_id, due as version, 0 as stray, true as is_gap from entry where version <> due
      union all
      select provider_id, last + 1, 0, true from ended where version <> last
      union all
      select provider_id, version, abs(balance_after_cents - so_far), false from entry where balance_after_cents <> so_far),
    broken as (
      select provider_id, min(version) as version, max(stray) as stray, bool_or(is_gap) as has_gap
      from flaw b where ${uncovered} group by provider_id)
    select n.provider_id, n.balance_cents, n.version, n.cents::bigint as ledger_cents,
           greatest(n.version, n.last, b.version) as last_version, b.version as broken_version,
           coalesce(b.has_gap, false) as has_gap, coalesce(b.stray, 0)::bigint as stray_cents,
           exists (select from balance_correction c
                   where c.provider_id = n.provider_id and c.action = 'alerted' and c.closed_at is null) as has_open_case
    from ended n left join broken b using (provider_id)
    order by n.provider_id`;
}

/** An account that was set to its ledger. */
export interface Corrected {
  provider_id: string;
  balance_cents: number;
  low_balance_cents: number | null;
  crossed_low: boolean;
  email: string;
}

/**
 * Sets locked accounts to the sums of their ledgers. A version that lies behind the entries is brought up to them, else no entry could
 * follow; it is never lowered, as facts were told under it.
 */
export async function setToLedger(tx: Queryable, findings: readonly AccountFinding[]): Promise<Corrected[]> {
  const { rows } = await tx.query<Corrected>(sql`
    with w as (
      select * from unnest(${findings.map((one) => one.providerId)}::uuid[], ${findings.map((one) => one.ledgerCents)}::bigint[])
        as t(provider, cents)),
    acc as (
      update account a
      set balance_cents = w.cents, updated_at = clock_timestamp(), low_alerted_at = ${lowAlertAfter(sql`w.cents`, sql`a`)},
          version = greatest(a.version, (select max(account_version) from ledger_entry e where e.provider_id = a.provider_id))
      from w where a.provider_id = w.provider
      returning a.provider_id, a.balance_cents, a.low_balance_cents, ${crossedLow(sql`a`)} as crossed_low)
    select acc.*, c.email from acc join v_provider_contact c using (provider_id) order by provider_id`);
  return rows;
}

export interface CorrectionDraft {
  readonly finding: AccountFinding;
  readonly action: 'corrected' | 'alerted' | 'reconciled';
  readonly cause: Cause;
}

interface CorrectionContext {
  /** Null when a person asked. */
  readonly runId: string | null;
  readonly actor: string;
  readonly memo?: string;
}

export interface Recorded {
  id: string;
  provider_id: string;
}

/** Records what was found and done. An account has one open case: a second alert of it is none. Answers the new rows. */
export async function insertCorrections(
  tx: Queryable,
  drafts: readonly CorrectionDraft[],
  { runId, actor, memo }: CorrectionContext,
): Promise<Recorded[]> {
  const of = <T>(value: (finding: AccountFinding) => T) => drafts.map(({ finding }) => value(finding));
  const { rows } = await tx.query<Recorded>(sql`
    insert into balance_correction (run_id, provider_id, cached_cents, ledger_cents, diff_cents, action, cause, broken_version,
                                    last_version, actor, memo, correlation_id)
    select ${runId}::uuid, d.provider, d.cached, d.ledger, d.cached - d.ledger, d.action, d.cause, d.broken, d.last, ${actor},
           ${memo ?? null}, ${currentContext()?.correlationId ?? 'none'}
    from unnest(${of((one) => one.providerId)}::uuid[], ${of((one) => one.cachedCents)}::bigint[],
                ${of((one) => one.ledgerCents)}::bigint[], ${drafts.map(({ action }) => action)}::text[],
                ${drafts.map(({ cause }) => cause)}::text[], ${of((one) => one.brokenVersion)}::int[],
                ${of((one) => one.lastVersion)}::int[])
      as d(provider, cached, ledger, action, cause, broken, last)
    on conflict (provider_id) where action = 'alerted' and closed_at is null do nothing
    returning id, provider_id`);
  return rows;
}

/** Closes the open case of an account. Answers its id, or undefined when there is none. */
export async function closeCase(
  tx: Queryable,
  { providerId, actor, memo }: { providerId: string; actor: string; memo: string },
): Promise<string | undefined> {
  const { rows } = await tx.query<{ id: string }>(sql`
    update balance_correction set closed_at = clock_timestamp(), closed_by = ${actor}, close_memo = ${memo}
    where provider_id = ${providerId} and action = 'alerted' and closed_at is null
    returning id`);
  return rows[0]?.id;
}

/** A run that crashed and begins again keeps its row. */
export async function beginRun(
  db: Queryable,
  { runId, correlationId }: { runId: string; correlationId: string },
): Promise<void> {
  await db.query(sql`
    insert into reconciliation_run (id, correlation_id) values (${runId}, ${correlationId}) on conflict (id) do nothing`);
}

export interface RunTotals {
  corrected: number;
  corrected_cents: number;
  open_cases: number;
}

/** Ends a run. What it corrected is counted by its records, those that an earlier attempt of it made included. */
export async function finishRun(
  db: Queryable,
  runId: string,
  { snapshot, tolerated, alerted }: { snapshot: Omit<Snapshot, 'suspects'>; tolerated: number; alerted: number },
): Promise<RunTotals> {
  const { rows } = await db.query<RunTotals>(sql`
    with made as (
      select count(*)::int as corrected, coalesce(sum(abs(diff_cents)), 0)::bigint as corrected_cents
      from balance_correction where run_id = ${runId} and action = 'corrected'),
    open as (
      select count(*)::int as cases from balance_correction where action = 'alerted' and closed_at is null)
    update reconciliation_run r
    set finished_at = clock_timestamp(), providers = ${snapshot.providers}::int, balance_cents = ${snapshot.balance_cents}::bigint,
        ledger_cents = ${snapshot.ledger_cents}::bigint, within_tolerance = ${tolerated}::int, alerted = ${alerted}::int,
        corrected = made.corrected, corrected_cents = made.corrected_cents, open_cases = open.cases
    from made, open where r.id = ${runId}
    returning r.corrected, r.corrected_cents, r.open_cases`);
  return rows[0] as RunTotals;
}
