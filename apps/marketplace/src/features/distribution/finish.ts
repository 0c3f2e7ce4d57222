import { prepared, sql, type Tx } from '@fmhl/ops';
import { mailParts } from '../email/index.ts';
import { finishSale, type SaleRecord } from '../leads/index.ts';
import { capAt } from './cascade.ts';
import type { Distribution, DistributionDeps, Run } from './distribute.ts';
import { factsOf, mailsOf } from './facts.ts';
import type { LevelSale } from './level-sale.ts';
import { rotationAdvance, type RunRow, runInsert } from './queries.ts';

/** Ends a run: the lead's state, the record with its trace, events and mails. Counters and log lines follow the commit. */
export async function finishRun(tx: Tx, run: Run, deps: DistributionDeps): Promise<Distribution> {
  const assigned = sum(run.sales, (sale) => sale.sold.length);
  const isPaused = run.niche.status === 'paused';
  const outcome = isPaused ? 'niche_paused' : assigned > 0 ? 'distributed' : 'unsold';
  const row = rowOf(run, outcome, assigned);
  if (isPaused) await tx.query(prepared('paused_run', runInsert(row)));
  const record = isPaused ? undefined : await finishOffered(tx, run, row, deps);
  tx.afterCommit(() => report(run, assigned, record, deps));
  return { outcome, runId: run.id, assigned };
}

/** One statement for the lead, the run, the rotation, the events and the mails. */
async function finishOffered(tx: Tx, run: Run, row: RunRow, deps: DistributionDeps): Promise<SaleRecord> {
  const events = run.sales.flatMap((sale) => factsOf(sale, run.lead.id));
  const mails = run.sales.flatMap((sale) => mailsOf(sale, run.niche.name));
  const parts = sql`
    , run as (${runInsert(row)}), pointer as (${rotationAdvance(run.niche.id, run.nextStartOrd)})
    ${mails.length > 0 ? sql`, ${mailParts(mails)}` : sql``}`;
  if (mails.length > 0) tx.wake('jobs');
  return finishSale(tx, saleEndOf(run, row.assigned, deps.now()), deps, { events, parts });
}

function saleEndOf({ lead, startOrd, sales }: Run, assigned: number, now: Date) {
  const sold = sales.filter((sale) => sale.sold.length > 0);
  const recipientCap = sold.reduce<number | null>((cap, { level }) => capAt(level, cap), lead.recipient_cap);
  const offered = sales[0]?.level.max_recipients ?? 0;
  return { lead, startOrd, assignedCount: lead.assigned_count + assigned, recipientCap, offered, now };
}

function rowOf(run: Run, outcome: RunRow['outcome'], assigned: number): RunRow {
  const { input, lead, sales } = run;
  return {
    id: run.id,
    leadId: lead.id,
    saleNo: input.saleNo,
    attempt: input.attempt,
    trigger: lead.sale_trigger,
    startOrd: run.startOrd,
    outcome,
    matched: sum(sales, (sale) => sale.candidates),
    assigned,
    skipped: skippedBy(sales),
    steps: sales.map(stepOf),
    ms: Math.round(performance.now() - run.startedAt),
  };
}

function skippedBy(sales: readonly LevelSale[]): Record<string, number> {
  const reasons = {
    insufficient_balance: sum(sales, (sale) => sale.unfunded.length),
    level_swept: sum(sales, (sale) => sale.swept ?? 0),
    changed: sum(sales, (sale) => sale.changed),
  };
  return Object.fromEntries(Object.entries(reasons).filter(([, count]) => count > 0));
}

function stepOf({ level, slots, candidates, examined, sold, unfunded, swept }: LevelSale) {
  return {
    level_id: level.id,
    ord: level.ord,
    slots,
    candidates,
    examined,
    served: sold.length,
    paused: unfunded.length + (swept ?? 0),
  };
}

function report(run: Run, assigned: number, record: SaleRecord | undefined, deps: DistributionDeps): void {
  const { metrics } = deps;
  const paused = sum(run.sales, (sale) => sale.unfunded.length + (sale.swept ?? 0));
  metrics.assignmentsCreated.inc(assigned);
  metrics.assignmentsSkippedInsufficientBalance.inc(paused);
  metrics.distributionCandidates.observe(sum(run.sales, (sale) => sale.examined));
  metrics.levelSweeps.inc(run.sales.filter((sale) => sale.swept !== null).length);
  if (record?.verdict) metrics.leadAssignmentVerdicts[record.verdict].inc();
  if (record && assigned > 0) metrics.leadAssignmentLatencyMs.observe(record.latencyMs);
  logSales(run, deps);
}

function logSales({ lead, id: run_id, sales }: Run, deps: DistributionDeps): void {
  const log = deps.log.withCorrelation(lead.correlation_id);
  for (const { level, sold, unfunded, swept } of sales) {
    for (const one of sold) {
      log.info('assignment_created', {
        assignment_id: one.id,
        lead_id: lead.id,
        provider_id: one.provider_id,
        level_id: level.id,
        price_cents: level.price_cents,
      });
    }
    if (unfunded.length > 0) {
      log.info('assignment_skipped', {
        lead_id: lead.id,
        level_id: level.id,
        reason: 'insufficient_balance',
        count: unfunded.length,
      });
    }
    if (swept !== null)
      log.warn('level_swept', { level_id: level.id, run_id, price_cents: level.price_cents, paused: swept });
  }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
