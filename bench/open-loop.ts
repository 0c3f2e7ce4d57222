import { setTimeout as wait } from 'node:timers/promises';
import { type Random, streamOf } from '../apps/marketplace/src/simulator/random.ts';

export interface OpenLoop {
  /** Arrivals a second, on average. */
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
  /** Called for each arrival, and not waited for. `intendedAt` is when it should have come, in ms since the epoch. */
  readonly fire: (n: number, intendedAt: number) => Promise<void>;
}

export interface Lateness {
  readonly arrivals: number;
  /** How much later than intended each was fired, in ms: of the generator, not of what it measures. */
  readonly lateMs: readonly number[];
  readonly failures: readonly unknown[];
}

/**
 * Fires at the times of a Poisson process, whatever becomes of what was fired before. Waits for all of them at the end. So a product that
 * stalls meets the queue of those who came meanwhile, which a loop that waits for each answer never shows.
 */
export async function runOpenLoop({ rate, seconds, seed, fire }: OpenLoop): Promise<Lateness> {
  const gaps = streamOf(seed, 'open-loop.gap');
  const lateMs: number[] = [];
  const failures: unknown[] = [];
  const underWay = new Set<Promise<void>>();
  const startedAt = Date.now();
  let n = 0;
  for (const offset of offsets(gaps, { rate, seconds })) {
    const intendedAt = startedAt + offset;
    await wait(Math.max(0, intendedAt - Date.now()));
    lateMs.push(Date.now() - intendedAt);
    const fired = fire(n, intendedAt).catch((error: unknown) => void failures.push(error));
    underWay.add(fired);
    void fired.then(() => underWay.delete(fired));
    n += 1;
  }
  await Promise.all(underWay);
  return { arrivals: n, lateMs, failures };
}

function* offsets(gaps: Random, { rate, seconds }: { rate: number; seconds: number }): Generator<number> {
  for (let at = gaps.exponential(1_000 / rate); at < seconds * 1_000; at += gaps.exponential(1_000 / rate)) yield at;
}

/** The value below which this share of all lies; 0 where there is none. */
export function quantileOf(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
