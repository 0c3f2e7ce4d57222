import { randomUUID } from 'node:crypto';
import { PermanentError, type Tx } from '@fmhl/ops';
import type { Log } from '../../log.ts';
import type { ProductMetrics } from '../../metrics.ts';
import { type LeadForSale, underLead } from '../leads/index.ts';
import { announceUnfunded, pauseUnfunded } from '../subscriptions/index.ts';
import { capAt, cascadeFrom, type Level, type Promised, slotsAt } from './cascade.ts';
import { finishRun } from './finish.ts';
import { type LevelSale, sellAtLevel } from './level-sale.ts';
import { lockForSale, type NicheLock, readOffer } from './queries.ts';
import { demandOf, type Demand } from './walk.ts';

export interface DistributionDeps {
  readonly metrics: ProductMetrics;
  readonly log: Log;
  readonly now: () => Date;
}

export interface DistributeInput {
  readonly leadId: string;
  /** Which sale of the lead this is for: an older one is answered `noop`. */
  readonly saleNo: number;
  /** From 1. */
  readonly attempt: number;
}

export interface Distribution {
  /** `noop`: the lead is not for sale, or no longer for this one. */
  readonly outcome: 'distributed' | 'unsold' | 'niche_paused' | 'noop';
  /** Undefined for a noop, which leaves no run. */
  readonly runId?: string;
  readonly assigned: number;
}

/** Everything one attempt knows and has done so far. */
export interface Run {
  readonly id: string;
  readonly input: DistributeInput;
  readonly niche: NicheLock;
  readonly lead: LeadForSale;
  readonly startedAt: number;
  readonly startOrd: number | null;
  /** Start of the niche's next lead; null leaves it where it is. */
  readonly nextStartOrd: number | null;
  readonly sales: readonly LevelSale[];
}

/**
 * Sells one lead in the caller's transaction: once, fairly, for the right money (docs: "Distribution").
 * Throws `PermanentError` when the lead is missing or a charge went astray; lock conflicts pass through, to be tried again.
 */
export async function distributeLead(tx: Tx, input: DistributeInput, deps: DistributionDeps): Promise<Distribution> {
  const startedAt = performance.now();
  const locked = await lockForSale(tx, input.leadId);
  if (!locked) throw new PermanentError('lead missing');
  const { niche, lead } = locked;
  if (!isForSale(lead, input.saleNo)) return { outcome: 'noop', assigned: 0 };
  return underLead(lead.correlation_id, async () => {
    const run = { id: randomUUID(), input, niche, lead, startedAt };
    const offered = niche.status === 'active' ? await offer(tx, run, deps) : notOffered;
    return finishRun(tx, { ...run, ...offered }, deps);
  });
}

function isForSale(lead: LeadForSale, saleNo: number): boolean {
  return (lead.status === 'approved' || lead.status === 'unsold') && !lead.is_test && lead.sale_no === saleNo;
}

type Offered = Pick<Run, 'startOrd' | 'nextStartOrd' | 'sales'>;
const notOffered: Offered = { startOrd: null, nextStartOrd: null, sales: [] };

/** Offers the lead from its start level on. Only a lead without a start of its own moves the rotation. */
async function offer(
  tx: Tx,
  { id: runId, niche, lead }: Pick<Run, 'id' | 'niche' | 'lead'>,
  deps: DistributionDeps,
): Promise<Offered> {
  const { levels, next_start_ord, assigned, cap } = await readOffer(tx, { leadId: lead.id, nicheId: niche.id });
  const cascade = cascadeFrom(levels, lead.start_ord ?? next_start_ord ?? 0);
  const [start, next = start] = cascade;
  if (!start || !next) return notOffered;
  const demand = demandOf(lead);
  const sales = await sellDown(tx, { cascade, promised: { assigned, cap }, demand, runId }, deps);
  const short = sales.flatMap((sale) => sale.sold.filter((one) => one.short_of_money).map((one) => one.provider_id));
  const unfunded = sales.flatMap((sale) => sale.unfunded.map((one) => one.subscriptionId));
  await announceUnfunded(tx, { ids: unfunded, ref: runId });
  await pauseUnfunded(tx, { providerIds: short, ref: runId });
  return { startOrd: lead.start_ord ?? start.ord, nextStartOrd: lead.start_ord === null ? next.ord : null, sales };
}

async function sellDown(
  tx: Tx,
  { cascade, promised, demand, runId }: { cascade: Level[]; promised: Promised; demand: Demand; runId: string },
  deps: DistributionDeps,
): Promise<LevelSale[]> {
  const sales: LevelSale[] = [];
  let { assigned, cap } = promised;
  for (const level of cascade) {
    if (slotsAt(level, { assigned, cap }) <= 0) continue;
    const sale = await sellAtLevel(tx, { demand, level, promised: { assigned, cap }, runId }, deps);
    sales.push(sale);
    if (sale.sold.length > 0) cap = capAt(level, cap);
    assigned += sale.sold.length;
  }
  return sales;
}
