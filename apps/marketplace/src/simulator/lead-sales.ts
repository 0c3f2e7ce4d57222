import { planRetry, saleKey } from '../features/leads/index.ts';
import { distributeLeadQueue } from '../queues.ts';
import { AssignmentHistory, badLeadMemo } from './assignment-history.ts';
import type { Chronicle } from './chronicle.ts';
import type { LeadHistoryDeps } from './lead-history.ts';
import { type LevelSales, pauseUnfunded, type Provider, sellDown } from './market.ts';
import type { OpenLead } from './open-lead.ts';
import { idOf, streamOf } from './random.ts';
import { demand } from './shape.ts';

/** A sale that lies ahead. */
export interface PlannedSale {
  readonly leadId: string;
  readonly saleNo: number;
  readonly at: number;
  readonly correlationId: string;
}

/** A lead is sold in time within this of its approval. */
const inTimeMs = 60_000;
const attempts = distributeLeadQueue.attempts;

/** The sales of approved leads: on the rules of the product, at their own times. */
export class LeadSales {
  readonly #chronicle: Chronicle;
  readonly #deps: LeadHistoryDeps;
  readonly #assignments: AssignmentHistory;
  readonly #waiting = new Map<OpenLead, number>();

  constructor(chronicle: Chronicle, deps: LeadHistoryDeps) {
    this.#chronicle = chronicle;
    this.#deps = deps;
    this.#assignments = new AssignmentHistory(chronicle, deps);
  }

  plan(lead: OpenLead, at: number): void {
    this.#waiting.set(lead, at);
    this.#deps.timeline.plan(at, () => this.#sell(lead, at));
  }

  close(): PlannedSale[] {
    return [...this.#waiting].map(([lead, at]) => {
      lead.write();
      return { leadId: lead.id, saleNo: lead.row.sale_no ?? 1, at, correlationId: lead.correlationId };
    });
  }

  #sell(lead: OpenLead, at: number): void {
    this.#waiting.delete(lead);
    if (this.#dies(lead, at)) return lead.write();
    const { niche, row } = lead;
    const first = niche.levels[0]?.ord ?? 0;
    const startOrd = row.start_ord ?? niche.nextStartOrd ?? first;
    const sold = sellDown(niche, startOrd, { areas: lead.areas, form: lead.draft.form, at });
    if (row.start_ord === null) niche.nextStartOrd = afterOrd(niche.levels, startOrd);
    const assigned = sold.reduce((sum, { sales }) => sum + sales.length, 0);
    const runId = this.#run(lead, sold, { at, startOrd, assigned });
    this.#end(lead, sold, { at, startOrd, assigned });
    for (const sale of sold.flatMap(({ sales }) => sales)) this.#assignments.record(lead, sale);
    this.#runShort(lead, sold, { at, runId });
    if (row.status !== 'unsold') lead.write();
  }

  /** The state of the lead after a sale, and its next try. */
  #end(lead: OpenLead, sold: readonly LevelSales[], run: { at: number; startOrd: number; assigned: number }): void {
    const { at, startOrd, assigned } = run;
    const { row } = lead;
    const approvedAt = row.approved_at ?? at;
    const verdict = row.sale_verdict ?? (at - approvedAt <= inTimeMs ? 'in_time' : 'late');
    if (assigned > 0) {
      const caps = sold.flatMap(({ sales }) => sales.map(({ slotCap }) => slotCap));
      const columns = {
        assigned_count: assigned,
        recipient_cap: Math.min(...caps),
        distributed_at: at,
        next_try_at: null,
      };
      lead.change(at, { status: 'distributed', start_ord: startOrd, sale_verdict: verdict, ...columns });
      return this.#markBad(lead, at);
    }
    const tries = (row.unsold_tries ?? 0) + 1;
    const next = planRetry({ tries, approvedAt: new Date(approvedAt), now: new Date(at) });
    const columns = { start_ord: startOrd, sale_verdict: verdict, unsold_tries: tries };
    if (next.kind === 'expire') return lead.change(at, { ...columns, status: 'expired', next_try_at: null });
    const nextTryAt = at + next.delayMs;
    const retry = { sale_no: (row.sale_no ?? 1) + 1, sale_trigger: 'retry', next_try_at: nextTryAt };
    lead.change(at, { ...columns, ...retry, status: 'unsold' });
    this.plan(lead, nextTryAt);
  }

  /** A few sold leads turn out to be bad for all. */
  #markBad(lead: OpenLead, soldAt: number): void {
    const random = streamOf(this.#chronicle.seed, 'lead.bad', lead.index);
    const { share, medianMs, sigma } = demand.badLead;
    const at = soldAt + Math.round(60_000 + random.logNormal(medianMs, sigma));
    if (!random.chance(share) || at > this.#chronicle.now) return;
    lead.badAt = at;
    lead.change(at, { status: 'bad', bad_by: 'world-staff', bad_at: at, bad_memo: badLeadMemo });
  }

  /** Who can no longer pay for all is paused and told, and may pay in again. */
  #runShort(lead: OpenLead, sold: readonly LevelSales[], { at, runId }: { at: number; runId: string }): void {
    for (const provider of buyersOf(sold)) {
      const paused = pauseUnfunded(provider, runId, at);
      if (paused.length > 0) {
        this.#chronicle.mail({
          template: 'subscriptions_paused',
          variables: { count: paused.length },
          to: provider.draft.email,
          fate: 'accepted',
          dedupeKey: `subscriptions_paused:${provider.id}:${runId}`,
          related: { type: 'provider', id: provider.id },
          at,
          correlationId: lead.correlationId,
        });
      }
      this.#deps.money.runShort(provider, at);
    }
  }

  #run(lead: OpenLead, sold: readonly LevelSales[], run: { at: number; startOrd: number; assigned: number }): string {
    const { at, startOrd, assigned } = run;
    const { id: leadId, correlationId, row, index } = lead;
    const id = idOf(this.#chronicle.seed, 'run', `${index}.${row.sale_no}`);
    const ms = streamOf(this.#chronicle.seed, 'run', `${index}.${row.sale_no}`).between(4, 40);
    lead.keep('distribution_run', {
      id,
      lead_id: leadId,
      sale_no: row.sale_no,
      attempt: 1,
      trigger: row.sale_trigger,
      start_ord: startOrd,
      outcome: assigned > 0 ? 'distributed' : 'unsold',
      matched: sold.reduce((sum, { candidates }) => sum + candidates, 0),
      assigned,
      steps: JSON.stringify(sold.map(stepOf)),
      ms,
      correlation_id: correlationId,
      created_at: at,
    });
    this.#chronicle.job({
      key: saleKey(leadId, row.sale_no ?? 1),
      queue: distributeLeadQueue.name,
      kind: 'distribute_lead',
      at: Math.max(row.approved_at ?? at, at - 300),
      endedAt: at,
      attempts: 1,
      maxAttempts: attempts,
      priority: 0,
      correlationId,
    });
    return id;
  }

  /** True for a sale that no attempt could end: its lead waits with its dead letter. */
  #dies({ id, index, row, correlationId }: OpenLead, at: number): boolean {
    const random = streamOf(this.#chronicle.seed, 'sale.death', `${index}.${row.sale_no}`);
    const diedAt = at + 205_000;
    if (!this.#chronicle.mayDie(at) || !random.chance(this.#chronicle.mishaps.deadSaleShare)) return false;
    return this.#chronicle.death({
      runKey: saleKey(id, row.sale_no ?? 1),
      queue: distributeLeadQueue.name,
      kind: 'distribute_lead',
      payload: { v: 1, lead_id: id, sale_no: row.sale_no },
      attempts,
      cause: 'exhausted',
      error: lockTimeout,
      enqueuedAt: at,
      diedAt,
      correlationId,
    });
  }
}

const lockTimeout = {
  type: 'error',
  message: 'canceling statement due to lock timeout',
  stack:
    'error: canceling statement due to lock timeout\n    at lockForSale (/app/features/distribution/queries.ts:31:20)',
};

function buyersOf(sold: readonly LevelSales[]): Provider[] {
  return sold.flatMap(({ sales }) => sales.map(({ posting }) => posting.provider));
}

function stepOf({ level, slots, candidates, examined, sales }: LevelSales) {
  return { level_id: level.id, ord: level.ord, slots, candidates, examined, served: sales.length, paused: 0 };
}

/** Where the next lead of the niche starts. */
function afterOrd(levels: readonly { ord: number }[], ord: number): number {
  const at = levels.findIndex((level) => level.ord === ord);
  return levels[(at + 1) % levels.length]?.ord ?? ord;
}
