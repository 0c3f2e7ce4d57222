import type { Explanation } from './contract.ts';
import type { QueueFacts } from './explanation.ts';

/** When the last of the jobs ahead has left, at the present rate; null when it never will, or when nobody knows. Pure. */
export function etaOf(
  { now, pause, redis, workers, perMinute }: QueueFacts,
  { ahead, notBefore }: { ahead: number | null; notBefore: Date },
): Explanation['eta'] {
  if (ahead === null || !perMinute || workers === 0) return null;
  if (pause && pause.until === null) return null;
  const begins = Math.max(now.getTime(), notBefore.getTime(), pause?.until ? Date.parse(pause.until) : 0);
  const at = new Date(begins + (ahead / perMinute) * 60_000);
  const perSecond = Math.round((perMinute / 60) * 100) / 100;
  return {
    at: at.toISOString(),
    basis: `${perSecond} jobs/s over 5 min`,
    // What jumps the queue until then is not known.
    sure: begins === now.getTime() && redis !== null && !redis.paused,
  };
}

/** Whether jobs leave the queue at all. */
export function neverAtThisRate({ workers, perMinute, pause }: QueueFacts): boolean {
  return workers === 0 || perMinute === 0 || (pause !== null && pause.until === null);
}
