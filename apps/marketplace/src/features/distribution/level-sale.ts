import { PermanentError, type Tx } from '@fmhl/ops';
import { measured } from '../billing/index.ts';
import { sweepLevel } from '../subscriptions/index.ts';
import { capAt, type Level, type Promised, slotsAt } from './cascade.ts';
import type { DistributionDeps } from './distribute.ts';
import { sell, type Sold } from './queries.ts';
import { type Candidate, choose } from './ranking.ts';
import { type Buyer, type Demand, front, type Place, reread, walk } from './walk.ts';

/** Largest batch of a walk. The number of batches has no limit: a head of narrow filters must not hide buyers behind it. */
const largestBatch = 512;

/** What happened at one level. */
export interface LevelSale {
  readonly level: Level;
  readonly slots: number;
  /** Subscriptions that matched the lead when they were locked. */
  readonly candidates: number;
  readonly examined: number;
  /** Matched in the walk, but no longer when they were locked. */
  readonly changed: number;
  readonly sold: readonly Sold[];
  readonly unfunded: readonly Candidate[];
  /** Paused by the sweep of the whole level, or null when there was none. */
  readonly swept: number | null;
}

/** Sells the lead at one level: walk, lock, choose, write. */
export async function sellAtLevel(
  tx: Tx,
  { demand, level, promised, runId }: { demand: Demand; level: Level; promised: Promised; runId: string },
  deps: DistributionDeps,
): Promise<LevelSale> {
  const slots = slotsAt(level, promised);
  const found = await findBuyers(tx, { demand, level, slots, runId });
  const choice = choose(found.buyers, { slots, priceCents: level.price_cents, vclock: level.vclock });
  const terms = {
    leadId: demand.leadId,
    level,
    firstSlot: promised.assigned + 1,
    slotCap: capAt(level, promised.cap),
    runId,
  };
  const sold = choice.served.length > 0 ? await measured(tx, 'charge', deps, () => sell(tx, choice, terms)) : [];
  if (sold.length !== choice.served.length) {
    deps.metrics.billingFailure('charge', 'charge_mismatch');
    throw new PermanentError(`charge_mismatch: ${sold.length} of ${choice.served.length} picks were charged`);
  }
  const { buyers, examined, changed, swept } = found;
  return { level, slots, candidates: buyers.length, examined, changed, sold, unfunded: choice.unfunded, swept };
}

interface Found {
  buyers: Buyer[];
  /** Matches of the walk so far, from the front of the order. */
  matched: number;
  examined: number;
  changed: number;
  swept: number | null;
}

/** Reads the order of the level until enough who can pay are locked, or the order ends. */
async function findBuyers(
  tx: Tx,
  { demand, level, slots, runId }: { demand: Demand; level: Level; slots: number; runId: string },
): Promise<Found> {
  const found: Found = { buyers: [], matched: 0, examined: 0, changed: 0, swept: null };
  const canPay = (buyer: Buyer) => buyer.balanceCents >= level.price_cents;
  // The first batch comes in two halves: mostly all can pay, and each more is looked for, locked and read in vain.
  const half = slots + 2;
  let size = half;
  let after: Place | null = front;
  while (after) {
    const batch = await walk(tx, demand, { levelId: level.id, after, size });
    const verdicts = await reread(tx, demand, batch);
    const buyers = verdicts.filter((buyer) => buyer.eligible);
    found.matched += batch.ids.length;
    found.examined += batch.examined;
    found.changed += verdicts.length - buyers.length;
    found.buyers.push(...buyers);
    const isFull = batch.ids.length === size;
    const judged = size === half ? found.buyers : buyers;
    if (isFull && found.matched > half && found.swept === null && judged.length > 0 && !judged.some(canPay)) {
      // Nobody in a whole batch can pay: the level is unaffordable in mass. Healing it row by row took seconds a lead.
      found.swept = await sweepLevel(tx, { levelId: level.id, priceCents: level.price_cents, ref: runId });
      found.buyers = [];
      found.matched = 0;
      size = half;
      after = front;
      continue;
    }
    if (!isFull || found.buyers.filter(canPay).length >= slots) break;
    size = found.matched === half ? half : Math.min(size * 2, largestBatch);
    after = batch.last;
  }
  return found;
}
