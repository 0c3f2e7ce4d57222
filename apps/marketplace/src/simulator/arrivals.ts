import { localHour } from './local-time.ts';
import { zoneNames } from './places.ts';
import { type Random, streamOf } from './random.ts';
import { demand } from './shape.ts';

const hourMs = 3_600_000;

/** Hours in which one niche is asked for much more than otherwise. */
export interface Burst {
  readonly niche: number;
  readonly factor: number;
  /** Hours since the start. */
  readonly from: number;
  readonly to: number;
}

export interface Span {
  readonly seed: number;
  /** Milliseconds since the epoch; whole hours lie between the two. */
  readonly from: number;
  readonly to: number;
  /** Share of each niche in quiet times, by rank. */
  readonly nicheWeights: readonly number[];
}

export interface Arrivals {
  readonly bursts: readonly Burst[];
  /** When somebody of the zone asks: `place` runs from 0 to 1 over all the demand of that zone. */
  at(zone: string, place: number): number;
  /** Weights of the niches at that moment. */
  nichesAt(at: number): readonly number[];
  /** How much of the demand of an average hour comes in the hour of `at`, over all zones alike. For live traffic. */
  rateAt(at: number): number;
}

/** Spreads demand over a span of time, by the hours and weekdays of each zone, with what hours differ by chance and bursts. */
export function openArrivals(span: Span): Arrivals {
  const hours = Math.ceil((span.to - span.from) / hourMs);
  const bursts = burstsOf(span, hours);
  const total = sum(span.nicheWeights);
  const lift = (hour: number) =>
    burstsIn(bursts, hour).reduce(
      (factor, burst) => factor + ((burst.factor - 1) * (span.nicheWeights[burst.niche] ?? 0)) / total,
      1,
    );
  const common = Array.from({ length: hours }, (_, hour) => gammaOf(streamOf(span.seed, 'hour', hour)) * lift(hour));
  const weightIn = (zone: string, hour: number) => profileOf(zone, span.from + hour * hourMs) * (common[hour] ?? 0);
  const sums = new Map(zoneNames.map((zone) => [zone, cumulated(hours, (hour) => weightIn(zone, hour))]));
  return {
    bursts,
    at(zone, place) {
      const upTo = sums.get(zone);
      if (!upTo) throw new RangeError(`no zone ${zone}`);
      const hour = indexOf(upTo, place * (upTo.at(-1) ?? 0));
      const before = upTo[hour - 1] ?? 0;
      const within = (place * (upTo.at(-1) ?? 0) - before) / ((upTo[hour] ?? before) - before);
      return Math.min(span.to - 1, Math.floor(span.from + (hour + within) * hourMs));
    },
    nichesAt(at) {
      const now = burstsIn(bursts, Math.floor((at - span.from) / hourMs));
      if (now.length === 0) return span.nicheWeights;
      return span.nicheWeights.map((weight, niche) =>
        now.reduce((lifted, burst) => (burst.niche === niche ? lifted * burst.factor : lifted), weight),
      );
    },
    rateAt(at) {
      const hour = Math.floor((at - span.from) / hourMs);
      const rate = (zone: string) => {
        const upTo = sums.get(zone) ?? [];
        return (((upTo[hour] ?? 0) - (upTo[hour - 1] ?? 0)) / (upTo.at(-1) ?? 1)) * hours;
      };
      return sum(zoneNames.map(rate)) / zoneNames.length;
    },
  };
}

function burstsOf({ seed, nicheWeights }: Span, hours: number): Burst[] {
  const every = demand.burstEveryDays * 24;
  const periods = Array.from({ length: Math.floor(hours / every) }, (_, at) => at);
  return periods.flatMap((period) =>
    demand.bursts.map(({ factor, hours: length }, kind) => {
      const random = streamOf(seed, 'burst', `${period}.${kind}`);
      const from = period * every + random.below(every - length);
      // The orphan has none: it would be a niche without sellers for everybody.
      return { niche: random.below(nicheWeights.length - 1), factor, from, to: from + length };
    }),
  );
}

const burstsIn = (bursts: readonly Burst[], hour: number) => bursts.filter(({ from, to }) => hour >= from && hour < to);

function profileOf(zone: string, at: number): number {
  const { hour, weekday } = localHour(zone, at);
  return (demand.hours[hour] ?? 0) * (demand.weekdays[weekday] ?? 0);
}

/** Mean 1; a gamma of a whole shape is a sum of exponentials. */
function gammaOf(random: Random): number {
  let total = 0;
  for (let at = 0; at < demand.gammaShape; at += 1) total += random.exponential(1);
  return total / demand.gammaShape;
}

function cumulated(count: number, weightOf: (at: number) => number): number[] {
  let upTo = 0;
  return Array.from({ length: count }, (_, at) => (upTo += weightOf(at)));
}

/** The first place whose sum is above `value`. */
export function indexOf(sums: readonly number[], value: number): number {
  let [low, high] = [0, sums.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sums[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** One of them, by weight. */
export function weighted(random: Random, weights: readonly number[]): number {
  return indexOf(
    cumulated(weights.length, (at) => weights[at] ?? 0),
    random.next() * sum(weights),
  );
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
