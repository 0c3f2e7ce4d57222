import { inspect } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';

export interface PollOptions {
  /** Milliseconds after which it gives up. Default 5000. */
  deadlineMs?: number;
  /** Milliseconds between two looks. Default 20. */
  everyMs?: number;
}

/**
 * Looks until `look` gives something true, and returns that. A look that throws counts as not yet. Past the deadline it throws, and says
 * what the last look gave.
 *
 * @example
 * const run = await pollUntil(() => findRun(id, 'completed'), { deadlineMs: 2_000 });
 */
export async function pollUntil<T>(
  look: () => T | Promise<T>,
  { deadlineMs = 5_000, everyMs = 20 }: PollOptions = {},
): Promise<NonNullable<Exclude<T, false | 0 | ''>>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const { value, failure } = await attempt(look);
    if (value) return value as NonNullable<Exclude<T, false | 0 | ''>>;
    if (performance.now() > deadline) {
      const last = failure
        ? `failed: ${failure instanceof Error ? failure.message : inspect(failure)}`
        : `gave ${inspect(value, { depth: 4 })}`;
      throw new Error(`not so within ${deadlineMs} ms; the last look ${last}`, { cause: failure });
    }
    await delay(everyMs);
  }
}

async function attempt<T>(look: () => T | Promise<T>): Promise<{ value?: T; failure?: unknown }> {
  try {
    return { value: await look() };
  } catch (failure) {
    return { failure };
  }
}
