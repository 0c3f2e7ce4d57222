/** Shares that are kept of an event which came more often than so many times within a second: the first that fits. */
const busyRates = [
  { above: 500, rate: 0.01 },
  { above: 50, rate: 0.1 },
];

/** Decides which lines of the sampled events are written. */
export interface Sampler {
  /** The rate at which this event is kept now, 1 unless sampling; counts the call. */
  rate(event: string): number;
}

/** A fixed rate when `sampleRate` is given; else 1, 0.1 for an event that came more than 50 times within a second, and 0.01 above 500. */
export function createSampler(sampleRate: number | undefined, now: () => number): Sampler {
  if (sampleRate !== undefined) return { rate: () => sampleRate };
  const windows = new Map<string, { second: number; count: number; before: number }>();
  return {
    rate(event) {
      const second = Math.floor(now() / 1000);
      let window = windows.get(event);
      if (!window) windows.set(event, (window = { second, count: 0, before: 0 }));
      if (window.second !== second) {
        window.before = window.second === second - 1 ? window.count : 0;
        window.second = second;
        window.count = 0;
      }
      window.count += 1;
      return rateFor(Math.max(window.before, window.count));
    },
  };
}

function rateFor(perSecond: number): number {
  for (const { above, rate } of busyRates) if (perSecond > above) return rate;
  return 1;
}

/** Whether the journey `correlationId` is kept at `rate`: the same answer in every process, FNV-1a of the id. */
export function keepsJourney(correlationId: string, rate: number): boolean {
  if (rate >= 1) return true;
  let hash = 0x811c9dc5;
  for (let index = 0; index < correlationId.length; index += 1) {
    hash = Math.imul(hash ^ correlationId.charCodeAt(index), 0x01000193);
  }
  // The last characters reach only the low bits of FNV; folding spreads them over the range compared.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) / 0x1_0000_0000 < rate;
}
