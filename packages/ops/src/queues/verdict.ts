import type { CauseOfDeath } from '../causes/index.ts';
import type { Failure } from './failure.ts';

/** What happens to a run after an attempt that did not succeed. */
export type Verdict =
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'snooze'; readonly delayMs: number }
  | { readonly kind: 'dead'; readonly cause: DeathCause };

/** What a run can die of. The other causes are those of events, and of jobs that are not ours. */
export type DeathCause = Exclude<CauseOfDeath, 'unknown_contract' | 'start_limit' | 'parent_failed'>;

export interface AttemptState {
  /** Failures recorded before this one. */
  readonly failures: number;
  readonly maxAttempts: number;
  /** BullMQ's own count says that it would not try again. */
  readonly lastInRedis: boolean;
  readonly backoffMs: readonly number[];
}

/** Wait before a run is offered again when our own Postgres or Redis was away, in ms. */
export const infrastructurePauseMs = 1_000;

/** Decides after a failed attempt. Pure; `random` is 0 to 1. */
export function afterFailure(failure: Failure, attempt: AttemptState, random: number): Verdict {
  if (failure.class === 'permanent' || failure.class === 'invalid') return { kind: 'dead', cause: failure.class };
  if (failure.class === 'infrastructure' || failure.class === 'ambiguous') {
    return { kind: 'snooze', delayMs: Math.round(infrastructurePauseMs * (0.5 + random)) };
  }
  if (attempt.failures + 1 >= attempt.maxAttempts || attempt.lastInRedis) return { kind: 'dead', cause: 'exhausted' };
  return { kind: 'retry', delayMs: backoffMs(attempt.backoffMs, attempt.failures, random) };
}

/** The wait after failure number `failures + 1`, with ±20 % jitter so that a burst does not return as a burst. */
export function backoffMs(waits: readonly number[], failures: number, random: number): number {
  const base = waits[Math.min(failures, waits.length - 1)] ?? 0;
  return Math.round(base * (0.8 + 0.4 * random));
}
