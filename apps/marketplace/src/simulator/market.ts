import { capAt, cascadeFrom, type Candidate, choose, type Level, slotsAt } from '../features/distribution/index.ts';
import { filterMatches } from '../features/subscriptions/index.ts';
import type { FairOrder, Standing } from './fair-order.ts';
import { localDay } from './local-time.ts';
import type { ProviderDraft, SubscriptionDraft } from './supply.ts';

/** A subscription as its row stands. */
export interface Subscription extends Standing {
  readonly provider: Provider;
  readonly level: MarketLevel;
  readonly draft: SubscriptionDraft;
  readonly createdAt: number;
  status: 'active' | 'paused_user' | 'paused_funds';
  statusRef: string | null;
  dayKey: string | null;
  dayN: number;
  lastServedAt: number | null;
  updatedAt: number;
  version: number;
}

/** A provider with their account. */
export interface Provider {
  readonly id: string;
  readonly userId: string;
  readonly draft: ProviderDraft;
  readonly createdAt: number;
  readonly subscriptions: Subscription[];
  balance: number;
  /** Number of the newest ledger entry. */
  version: number;
  lowAlertedAt: number | null;
  updatedAt: number;
  /** A payment is under way. */
  isPayingIn: boolean;
}

export interface MarketLevel extends Level {
  vclock: number;
  readonly order: FairOrder<Subscription>;
}

export interface MarketNiche {
  readonly id: string;
  readonly name: string;
  /** By `ord`. */
  readonly levels: readonly MarketLevel[];
  nextStartOrd: number | null;
}

/** What moved an account. */
export interface Posting {
  readonly provider: Provider;
  readonly at: number;
  readonly amountCents: number;
  readonly version: number;
  readonly balanceCents: number;
}

export interface Sale {
  readonly subscription: Subscription;
  readonly slot: number;
  readonly slotCap: number;
  readonly day: string;
  readonly dayNumber: number;
  readonly posting: Posting;
  /** The charge that brought the balance below its threshold. */
  readonly crossedLow: boolean;
}

export interface LevelSales {
  readonly level: MarketLevel;
  readonly slots: number;
  readonly candidates: number;
  readonly examined: number;
  readonly sales: readonly Sale[];
}

export interface Demand {
  readonly areas: readonly string[];
  readonly form: unknown;
  readonly at: number;
}

/** What a walk of the order reads before it judges: as a sale does. */
const readAhead = 2;

/** Offers a lead level by level, as `distributeLead` does, on the rules of that. Nobody has bought it before. */
export function sellDown(niche: MarketNiche, startOrd: number, demand: Demand): LevelSales[] {
  const all: LevelSales[] = [];
  const buyers = new Set<Provider>();
  let [assigned, cap]: [number, number | null] = [0, null];
  for (const level of cascadeFrom(niche.levels, startOrd) as MarketLevel[]) {
    const slots = slotsAt(level, { assigned, cap });
    if (slots <= 0) continue;
    const sold = sellAt(level, demand, { slots, firstSlot: assigned + 1, slotCap: capAt(level, cap), buyers });
    all.push(sold);
    if (sold.sales.length > 0) cap = capAt(level, cap);
    assigned += sold.sales.length;
  }
  return all;
}

interface Terms {
  readonly slots: number;
  readonly firstSlot: number;
  readonly slotCap: number;
  readonly buyers: Set<Provider>;
}

function sellAt(level: MarketLevel, demand: Demand, { slots, firstSlot, slotCap, buyers }: Terms): LevelSales {
  const fits = (one: Subscription) => !buyers.has(one.provider) && hasPlace(one, demand) && wants(one, demand.form);
  const { found, examined } = level.order.first(demand.areas, slots + readAhead, fits);
  const choice = choose(
    found.map((one) => candidateOf(one, demand.at)),
    { slots, priceCents: level.price_cents, vclock: level.vclock },
  );
  if (choice.unfunded.length > 0) throw new Error('an active subscription could not pay');
  const sales = choice.served.map((pick, at) => {
    const subscription = found.find(({ id }) => id === pick.subscriptionId) as Subscription;
    buyers.add(subscription.provider);
    return serve(subscription, pick, { at: demand.at, slot: firstSlot + at, slotCap });
  });
  level.vclock = Math.max(level.vclock, choice.clock);
  return { level, slots, candidates: found.length, examined, sales };
}

function serve(
  subscription: Subscription,
  pick: Candidate & { nextVt: number },
  { at, slot, slotCap }: { at: number; slot: number; slotCap: number },
): Sale {
  Object.assign(subscription, { vt: pick.nextVt, dayKey: pick.day, dayN: pick.dayNumber, lastServedAt: at });
  subscription.level.order.enter(subscription);
  const { provider } = subscription;
  const { lowBalanceCents } = provider.draft;
  const posting = post(provider, -subscription.level.price_cents, at);
  const crossedLow = lowBalanceCents !== null && provider.balance < lowBalanceCents && provider.lowAlertedAt === null;
  if (crossedLow) provider.lowAlertedAt = at;
  return { subscription, slot, slotCap, day: pick.day, dayNumber: pick.dayNumber, posting, crossedLow };
}

function candidateOf(one: Subscription, at: number): Candidate {
  const { provider, draft } = one;
  const { day, number } = nextOfDay(one, at);
  return {
    subscriptionId: one.id,
    providerId: provider.id,
    vt: one.vt,
    weight: draft.weight,
    balanceCents: provider.balance,
    day,
    dayNumber: number,
    dailyCap: draft.dailyCap,
  };
}

function nextOfDay({ dayKey, dayN, provider }: Subscription, at: number): { day: string; number: number } {
  const today = localDay(provider.draft.zone, at);
  const day = dayKey !== null && dayKey > today ? dayKey : today;
  return { day, number: day === dayKey ? dayN + 1 : 1 };
}

const hasPlace = (one: Subscription, { at }: Demand) =>
  one.draft.dailyCap === null || nextOfDay(one, at).number <= one.draft.dailyCap;

const wants = ({ draft: { filter } }: Subscription, form: unknown) => filterMatches(filter, form);

/** Moves the balance by one entry. */
function post(provider: Provider, amountCents: number, at: number): Posting {
  provider.balance += amountCents;
  provider.version += 1;
  provider.updatedAt = at;
  return { provider, at, amountCents, version: provider.version, balanceCents: provider.balance };
}

/** Pauses the active subscriptions of the provider that the balance no longer pays, and answers them. */
export function pauseUnfunded(provider: Provider, ref: string, at: number): Subscription[] {
  const unfunded = provider.subscriptions.filter((one) => one.status === 'active' && !canPay(one));
  for (const one of unfunded) turn(one, 'paused_funds', { ref, at });
  return unfunded;
}

/** Adds money, and resumes what it pays: who enters stands at the level's clock at least. */
export function credit(
  provider: Provider,
  { amountCents, ref, at }: { amountCents: number; ref: string; at: number },
): { posting: Posting; resumed: Subscription[] } {
  const posting = post(provider, amountCents, at);
  if (provider.balance >= (provider.draft.lowBalanceCents ?? 0)) provider.lowAlertedAt = null;
  const resumed = provider.subscriptions.filter((one) => one.status === 'paused_funds' && canPay(one));
  for (const one of resumed) activate(one, { ref, at });
  return { posting, resumed };
}

export const canPay = ({ provider, level }: Pick<Subscription, 'provider' | 'level'>) =>
  provider.balance >= level.price_cents;

function activate(one: Subscription, change: { ref: string; at: number }): void {
  turn(one, 'active', change);
  one.vt = Math.max(one.vt, one.level.vclock);
  one.level.order.enter(one);
}

function turn(one: Subscription, status: Subscription['status'], { ref, at }: { ref: string; at: number }): void {
  one.status = status;
  one.statusRef = ref;
  one.version += 1;
  one.updatedAt = at;
}
