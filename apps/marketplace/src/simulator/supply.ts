import { indexOf, weighted } from './arrivals.ts';
import { amountOf } from './demand.ts';
import { companyOf, personOf } from './people.ts';
import { type Place, somePlace } from './places.ts';
import { type Random, streamOf } from './random.ts';
import { demand, supply } from './shape.ts';
import { type FormFields, type LevelName, nicheWeights, worldNiches } from './world-catalogue.ts';

export interface FilterRule {
  readonly field: string;
  readonly op: 'in' | 'gte' | 'lte' | 'eq';
  readonly value: unknown;
}

export interface SubscriptionDraft {
  /** Rank of the niche. */
  readonly niche: number;
  readonly level: LevelName;
  /** Sorted. */
  readonly areas: readonly string[];
  /** Null takes every lead. */
  readonly filter: readonly FilterRule[] | null;
  readonly weight: number;
  readonly dailyCap: number | null;
  readonly isPaused: boolean;
}

/** When a provider who runs short pays in again. */
export type TopUpHabit = 'same_day' | 'within_days' | 'never';

export interface ProviderDraft {
  readonly index: number;
  readonly company: string;
  readonly email: string;
  readonly zone: string;
  /** False for who registered and never came back: no money, no subscription. */
  readonly isVerified: boolean;
  /** Days before the history begins; some come only while it runs (below 0, as a share of it). */
  readonly joined: number;
  readonly openingCents: number;
  readonly lowBalanceCents: number | null;
  readonly topUp: TopUpHabit;
  /** Reports far more leads than others. */
  readonly isAbuser: boolean;
  readonly subscriptions: readonly SubscriptionDraft[];
}

export function draftProvider(seed: number, index: number, { niches }: { niches: number }): ProviderDraft {
  const who = streamOf(seed, 'provider.who', index);
  const home = somePlace(who);
  const money = streamOf(seed, 'provider.money', index);
  const subscriptions = draftSubscriptions(streamOf(seed, 'provider.subscriptions', index), { niches, home });
  const trade = worldNiches(niches)[subscriptions[0]?.niche ?? 0]?.name ?? '';
  const { topUpShares, balance, lowBalanceShare, lowBalanceCents } = supply;
  const habit = money.next();
  return {
    index,
    company: companyOf(who, trade),
    email: personOf(who, { tag: `p${index}`, fate: 'accepted' }).email,
    zone: home.zone,
    isVerified: !who.chance(supply.unverifiedShare),
    joined: who.chance(0.9) ? who.between(1, 180) : -who.next(),
    openingCents: money.chance(balance.belowPriceShare)
      ? money.between(1_000, 1_499)
      : dollarsOf(money.logNormal(balance.medianCents, balance.sigma), 1_500),
    lowBalanceCents: money.chance(lowBalanceShare) ? lowBalanceCents : null,
    topUp:
      habit < topUpShares.sameDay
        ? 'same_day'
        : habit < topUpShares.sameDay + topUpShares.withinDays
          ? 'within_days'
          : 'never',
    isAbuser: streamOf(seed, 'provider.reports', index).chance(demand.report.abusers),
    subscriptions,
  };
}

/** Whole dollars, as people pay in: at least `least`, at most what one deposit may be. */
export function dollarsOf(cents: number, least: number): number {
  return Math.min(1_000_000, Math.max(least, Math.round(cents / 100) * 100));
}

function draftSubscriptions(random: Random, { niches, home }: { niches: number; home: Place }): SubscriptionDraft[] {
  const weights = nicheWeights(niches, { exponent: supply.nicheExponent, orphanShare: supply.orphanShare });
  const wanted = Math.max(1, Math.round(random.exponential(supply.subscriptionsAProvider)));
  const levels = Object.keys(supply.levelShares) as LevelName[];
  const taken = new Set<string>();
  const drafts: SubscriptionDraft[] = [];
  // A provider subscribes to a level once; who wants more than the draws give has fewer.
  for (let at = 0; at < wanted; at += 1) {
    const niche = weighted(random, weights);
    const level = levels[weighted(random, Object.values(supply.levelShares))] ?? 'Standard';
    const terms = termsOf(random, { fields: worldNiches(niches)[niche]?.form_schema.fields ?? [], home });
    if (taken.has(`${niche}/${level}`)) continue;
    taken.add(`${niche}/${level}`);
    drafts.push({ niche, level, ...terms });
  }
  return drafts;
}

function termsOf(random: Random, { fields, home }: { fields: FormFields; home: Place }) {
  return {
    areas: areasOf(random, home),
    filter: random.chance(supply.filterShare) ? [ruleOf(random, fields)] : null,
    weight: random.chance(supply.weightedShare) ? random.between(2, 10) : 1,
    dailyCap: random.chance(supply.dailyCapShare) ? random.between(supply.dailyCap.least, supply.dailyCap.most) : null,
    isPaused: random.chance(supply.pausedByProviderShare),
  };
}

function areasOf(random: Random, home: Place): string[] {
  const { national, states } = supply.areaShares;
  const kind = indexOf([national, national + states, 1], random.next());
  if (kind === 0) return [random.chance(0.5) ? '*' : 'US'];
  const others = Array.from({ length: random.below(supply.mostAreas) }, () => somePlace(random));
  return [...new Set([home, ...others].map(({ state, prefix }) => (kind === 1 ? state : prefix)))].sort();
}

/** A rule that leaves a good part of the leads. */
function ruleOf(random: Random, fields: FormFields): FilterRule {
  const field = random.pick(fields.filter(({ type }) => type !== 'text'));
  if (field.type === 'choice') {
    const options = random.shuffled(field.options).slice(0, Math.max(1, Math.ceil(field.options.length / 2)));
    return { field: field.name, op: 'in', value: options };
  }
  if (field.type === 'number')
    return { field: field.name, op: random.pick(['gte', 'lte']), value: amountOf(field, random) };
  return { field: field.name, op: 'eq', value: true };
}
