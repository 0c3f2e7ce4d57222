const busyLinesPerSecond = 50;
const busyRate = 0.1;

/** Decides which lines of the sampled events are written. */
export interface Sampler {
  /** The rate at which this event is kept now, 1 unless sampling; counts the call. */
  rate(event: string): number;
}

/** A fixed rate when `sampleRate` is given; else 1, and 0.1 for an event that came more than 50 times within a second. */
export function createSampler(sampleRate: number | undefined, now: () => number): Sampler {
  if (sampleRate !== undefined) return { rate: () => sampleRate };
  const windows = new Map<string, { second: number; count: number; wasBusy: boolean }>();
  return {
    rate(event) {
      const second = Math.floor(now() / 1000);
      let window = windows.get(event);
      if (!window) windows.set(event, (window = { second, count: 0, wasBusy: false }));
      if (window.second !== second) {
        window.wasBusy = window.second === second - 1 && window.count > busyLinesPerSecond;
        window.second = second;
        window.count = 0;
      }
      window.count += 1;
      return window.wasBusy || window.count > busyLinesPerSecond ? busyRate : 1;
    },
  };
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
