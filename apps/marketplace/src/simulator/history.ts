import { hash } from 'node:crypto';
import { type Arrivals, openArrivals } from './arrivals.ts';
import { Chronicle, type PastDeath, type RowSink } from './chronicle.ts';
import { FairOrder } from './fair-order.ts';
import { LeadHistory } from './lead-history.ts';
import type { PlannedSale } from './lead-sales.ts';
import type { MarketNiche, Provider, Subscription } from './market.ts';
import { MoneyHistory } from './money-history.ts';
import { somePlace } from './places.ts';
import { ProviderHistory } from './provider-history.ts';
import { idOf, streamOf } from './random.ts';
import { demand, type Profile } from './shape.ts';
import { Timeline } from './timeline.ts';
import { nicheWeights, worldLevels, worldNiches } from './world-catalogue.ts';

const dayMs = 86_400_000;
/** Of the history that is told between two looks at what waits to be written. */
const stepMs = 600_000;

export interface HistoryOptions {
  readonly seed: number;
  readonly profile: Profile;
  readonly days: number;
  /** The end of the history, in ms since the epoch. */
  readonly now: number;
  readonly rows: RowSink;
  /** Hash of each provider's password. */
  readonly passwordHash: string;
  readonly consentText: string;
  /** Called again and again: writes what waits. `share` of the leads have arrived. */
  readonly pause: (share: number) => Promise<void> | undefined;
}

/** What a history leaves behind besides its rows. */
export interface History {
  readonly niches: readonly MarketNiche[];
  readonly providers: readonly Provider[];
  readonly deaths: readonly PastDeath[];
  readonly planned: readonly PlannedSale[];
}

/** Lets a market live for so many days, on the rules of the product, and hands over the rows that it would have left. */
export async function tellHistory(options: HistoryOptions): Promise<History> {
  const { seed, profile, days, now, rows, pause } = options;
  const from = now - days * dayMs;
  const timeline = new Timeline(now);
  const chronicle = new Chronicle({ seed, now, rows, mishaps: profile.mishaps });
  const niches = openNiches(options, from);
  const money = new MoneyHistory(chronicle, timeline);
  const providers = new ProviderHistory(chronicle, {
    timeline,
    money,
    niches,
    passwordHash: options.passwordHash,
    from,
  });
  for (let index = 0; index < profile.providers; index += 1) providers.join(index);
  const arrivals = openArrivals({
    seed,
    from,
    to: now,
    nicheWeights: nicheWeights(profile.niches, {
      exponent: demand.nicheExponent,
      orphanShare: demand.orphanShare,
    }),
  });
  const consentSha256 = hash('sha256', options.consentText);
  const leads = new LeadHistory(chronicle, { timeline, money, niches, arrivals, consentSha256 });
  let told = from;
  let arrived = 0;
  for (const { index, at } of arrivalsInOrder(seed, profile.leads, arrivals)) {
    timeline.runUntil(at);
    leads.arrive(index);
    arrived += 1;
    if (at - told < stepMs) continue;
    told = at;
    await pause(arrived / profile.leads);
  }
  timeline.runUntil(now);
  const planned = leads.close();
  return { niches, providers: providers.all, deaths: chronicle.deaths, planned };
}

/** The leads by the time they come; each is drawn whole when its turn comes. */
function* arrivalsInOrder(seed: number, count: number, arrivals: Arrivals): Generator<{ index: number; at: number }> {
  const times = Float64Array.from({ length: count }, (_, index) => {
    // The first two draws of the lead's own stream, as `draftLead` makes them.
    const when = streamOf(seed, 'lead.when', index);
    const place = somePlace(when);
    return arrivals.at(place.zone, when.next());
  });
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  order.sort((one, other) => (times[one] ?? 0) - (times[other] ?? 0) || one - other);
  for (const index of order) yield { index, at: times[index] ?? 0 };
}

/** Niches and levels stand before everybody who uses them. */
function openNiches({ seed, profile, rows }: HistoryOptions, from: number): MarketNiche[] {
  const openedAt = from - 200 * dayMs;
  return worldNiches(profile.niches).map((draft, rank) => {
    const id = idOf(seed, 'niche', rank);
    const times = { created_at: openedAt, updated_at: openedAt };
    rows.add('niche', {
      id,
      slug: draft.slug,
      name: draft.name,
      form_schema: JSON.stringify(draft.form_schema),
      ...times,
    });
    const levels = worldLevels.map((level) => {
      const levelId = idOf(seed, 'level', `${rank}.${level.ord}`);
      rows.add('level', { id: levelId, niche_id: id, ...level, ...times });
      return { id: levelId, ...level, vclock: 0, order: new FairOrder<Subscription>() };
    });
    return { id, name: draft.name, levels, nextStartOrd: null };
  });
}
