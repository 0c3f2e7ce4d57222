import { appendEvents, audit, type Database, type EventDraft, systemActor, type Tx } from '@fmhl/ops';
import type { Log } from '../../log.ts';
import type { ProductMetrics } from '../../metrics.ts';
import { queueMails } from '../email/index.ts';
import { pauseUnfunded, resumeFunded } from '../subscriptions/index.ts';
import { type Cause, judge } from './discrepancy.ts';
import { lowBalanceEvent, lowBalanceMail } from './low-balance.ts';
import {
  type AccountFinding,
  beginRun,
  type Corrected,
  finishRun,
  insertCorrections,
  lockFindings,
  readSnapshot,
  type Recorded,
  setToLedger,
} from './reconciliation-queries.ts';

export interface ReconciliationOptions {
  readonly db: Database;
  /** Of the schedule's run: what a run corrected is kept under it, and an attempt that follows a crash goes on with it. */
  readonly runId: string;
  readonly correlationId: string;
  /** Stops it after the batch under way. */
  readonly signal?: AbortSignal;
  readonly log: Log;
  readonly metrics: Pick<ProductMetrics, 'billingFailure'>;
  /** Accounts that one transaction locks. Default 100. */
  readonly batch?: number;
}

/** A type, and no interface, as it is stored by those who know any counts. */
export type ReconciliationCounts = {
  /** Accounts compared. */
  readonly providers: number;
  readonly within_tolerance: number;
  readonly corrected: number;
  /** Accounts that only a person can settle, those of earlier nights included. */
  readonly alerted: number;
  /** Sum of what was corrected, each without its sign. */
  readonly corrected_cents: number;
};

/** More corrections than this in one run are no accident: somebody must look. */
export const manyCorrections = 20;

/**
 * Compares every balance with the sum of its ledger. Suspects come from one snapshot, in which balance and entries belong together; each is
 * then locked and judged as it is by then. What is small is corrected with a record, what is large or broken becomes a case for a person.
 * Safe to run again, and twice at once: an account that was corrected agrees.
 */
export async function reconcileBalances(options: ReconciliationOptions): Promise<ReconciliationCounts> {
  const { db, runId, log, metrics, signal, batch = 100 } = options;
  await beginRun(db, options);
  const { suspects, ...snapshot } = await db.transaction(readSnapshot, {
    isolation: 'repeatable read',
    readOnly: true,
    statementTimeoutMs: 120_000,
  });
  let tolerated = 0;
  let alerted = 0;
  for (let from = 0; from < suspects.length; from += batch) {
    signal?.throwIfAborted();
    const settled = await db.transaction((tx) => settle(tx, suspects.slice(from, from + batch), options));
    tolerated += settled.tolerated;
    alerted += settled.alerted;
  }
  const { corrected, corrected_cents, open_cases } = await finishRun(db, runId, { snapshot, tolerated, alerted });
  if (corrected > manyCorrections) {
    metrics.billingFailure('reconcile', 'many_corrections');
    log.error('balance_corrections_many', new Error(`${corrected} balances were corrected in one run`), {
      run_id: runId,
      corrected,
      corrected_cents,
    });
  }
  log.info('balances_reconciled', {
    run_id: runId,
    ...snapshot,
    within_tolerance: tolerated,
    corrected,
    alerted,
    open_cases,
  });
  return { providers: snapshot.providers, within_tolerance: tolerated, corrected, alerted, corrected_cents };
}

interface Alert {
  readonly finding: AccountFinding;
  readonly cause: Cause;
}

/** Locks some suspects, judges them anew, and does what is to be done in the same transaction. */
async function settle(
  tx: Tx,
  providerIds: readonly string[],
  options: ReconciliationOptions,
): Promise<{ tolerated: number; alerted: number }> {
  const tolerated: AccountFinding[] = [];
  const small: AccountFinding[] = [];
  const alerts: Alert[] = [];
  for (const finding of await lockFindings(tx, providerIds)) {
    const verdict = judge(finding);
    if (verdict.does === 'tolerates') tolerated.push(finding);
    else if (verdict.does === 'corrects') small.push(finding);
    else if (verdict.does === 'alerts') alerts.push({ finding, cause: verdict.cause });
  }
  for (const finding of tolerated) tx.afterCommit(() => options.log.info('balance_within_tolerance', told(finding)));
  if (small.length > 0) await correct(tx, small, options);
  if (alerts.length > 0) await raise(tx, alerts, options);
  return { tolerated: tolerated.length, alerted: alerts.length };
}

async function correct(tx: Tx, small: readonly AccountFinding[], { runId, log }: ReconciliationOptions): Promise<void> {
  const accounts = await setToLedger(tx, small);
  const drafts = small.map((finding) => ({ finding, action: 'corrected', cause: 'difference' }) as const);
  const records = await insertCorrections(tx, drafts, { runId, actor: systemActor.id });
  const findings = new Map(small.map((finding) => [finding.providerId, finding]));
  for (const record of records) {
    const finding = findings.get(record.provider_id) as AccountFinding;
    await audit(tx, {
      actor: systemActor,
      action: 'billing.balance_corrected',
      targetType: 'provider',
      targetId: finding.providerId,
      details: { correction_id: record.id, run_id: runId, ...amounts(finding) },
    });
    tx.afterCommit(() => log.warn('balance_corrected', { run_id: runId, correction_id: record.id, ...told(finding) }));
  }
  await appendEvents(tx, eventsOf('balance.corrected', records, findings));
  await tellLow(tx, accounts, records);
  await reevaluate(tx, small, runId);
}

/** A subscription is active when the balance pays it, whatever moved the balance. */
export async function reevaluate(
  tx: Tx,
  findings: readonly AccountFinding[],
  ref: string,
): Promise<{ resumed: number; paused: number }> {
  const fell = findings.filter((one) => one.cachedCents > one.ledgerCents).map((one) => one.providerId);
  const paused = await pauseUnfunded(tx, { providerIds: fell, ref });
  const rose = findings.filter((one) => one.cachedCents < one.ledgerCents).map((one) => one.providerId);
  const resumed = await resumeFunded(tx, { providerIds: rose, cause: 'reconciled', ref });
  return { resumed, paused };
}

/** A balance that falls below its owner's threshold is told, also when a correction did it. */
export async function tellLow(tx: Tx, accounts: readonly Corrected[], records: readonly Recorded[]): Promise<void> {
  const recordOf = new Map(records.map((record) => [record.provider_id, record.id]));
  const low = accounts
    .filter((account) => account.crossed_low)
    .map(({ provider_id, email, balance_cents, low_balance_cents }) => ({
      providerId: provider_id,
      entryId: recordOf.get(provider_id) as string,
      email,
      balanceCents: balance_cents,
      thresholdCents: low_balance_cents ?? 0,
    }));
  await appendEvents(tx, low.map(lowBalanceEvent));
  await queueMails(tx, low.map(lowBalanceMail));
}

/** A case for each that has none. It is told every night until somebody closes it. */
async function raise(tx: Tx, alerts: readonly Alert[], { runId, log, metrics }: ReconciliationOptions): Promise<void> {
  const drafts = alerts.map((alert) => ({ ...alert, action: 'alerted' }) as const);
  const cases = await insertCorrections(tx, drafts, { runId, actor: systemActor.id });
  const findings = new Map(alerts.map(({ finding }) => [finding.providerId, finding]));
  await appendEvents(tx, eventsOf('balance.discrepancy_found', cases, findings));
  for (const { finding, cause } of alerts) {
    tx.afterCommit(() => {
      metrics.billingFailure('reconcile', 'discrepancy');
      const error = new Error(`balance and ledger of provider ${finding.providerId} disagree: ${cause}`);
      log.error('balance_discrepancy_alert', error, { run_id: runId, cause, ...told(finding) });
    });
  }
}

/** The facts of records, whose ids are the aggregates: the account's own versions number its entries. */
export function eventsOf(
  type: 'balance.corrected' | 'balance.discrepancy_found',
  records: readonly Recorded[],
  findings: ReadonlyMap<string, AccountFinding>,
): EventDraft[] {
  return records.map(({ id, provider_id }) => {
    const { cachedCents, ledgerCents } = findings.get(provider_id) as AccountFinding;
    return {
      stream: 'billing',
      type,
      aggregateType: 'balance_correction',
      aggregateId: id,
      aggregateVersion: 1,
      payload: { provider_id, cached_cents: cachedCents, ledger_cents: ledgerCents },
    };
  });
}

/** Both values and their difference, for logs and the audit log. */
export function amounts({ cachedCents, ledgerCents, brokenVersion }: AccountFinding) {
  return {
    cached_cents: cachedCents,
    ledger_cents: ledgerCents,
    diff_cents: cachedCents - ledgerCents,
    broken_version: brokenVersion,
  };
}

const told = (finding: AccountFinding) => ({ provider_id: finding.providerId, ...amounts(finding) });
