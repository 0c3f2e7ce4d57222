/** Longest wait for the start of a run that was handed over; then it is missed. */
const longestWaitMs = 15 * 60_000;
const leastGraceMs = 30_000;

/** What a schedule says of its own times, where it says anything. */
export interface OwnTimes {
  readonly graceMs?: number | undefined;
  readonly limitMs?: number | undefined;
}

/** A run that starts later than this after its fire time is late, in ms. */
export function graceOf({ graceMs }: OwnTimes, intervalMs: number): number {
  return graceMs ?? Math.max(leastGraceMs, intervalMs / 10);
}

/** A run that is longer than this overran, in ms. */
export function limitOf({ limitMs }: OwnTimes, intervalMs: number): number {
  return limitMs ?? intervalMs;
}

/** A run that was not started so long after it could be is missed, in ms. */
export function missedAfter(intervalMs: number): number {
  return Math.min(intervalMs, longestWaitMs);
}
