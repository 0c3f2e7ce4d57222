/** How an attempt ended, as its handler says it. What a handler throws is an accident and is judged by its class. */
export type JobOutcome =
  | { readonly kind: 'done' }
  /** Put back for later; no attempt is used. */
  | { readonly kind: 'snooze'; readonly delayMs: number; readonly why: string }
  /** Failed, and worth another attempt after the queue's backoff. */
  | { readonly kind: 'retry'; readonly error: Error }
  /** Failed for good: no further attempt can help. */
  | { readonly kind: 'bury'; readonly error: Error };

export const done: JobOutcome = { kind: 'done' };

/** Puts the job back for `delayMs` without using an attempt. `why` goes to the log: a fixed phrase, not data. */
export function snooze(delayMs: number, why: string): JobOutcome {
  return { kind: 'snooze', delayMs, why };
}

/** Fails the attempt; the queue's backoff decides when the next one starts. */
export function retry(error: Error): JobOutcome {
  return { kind: 'retry', error };
}

/** Fails the run for good. */
export function bury(error: Error): JobOutcome {
  return { kind: 'bury', error };
}

/** A payload that does not fit its kind: no attempt can mend it. */
export class InvalidPayload extends Error {
  override name = 'InvalidPayload';
}

/** Thrown by a handler, or from inside `commit`, when no further attempt can help. */
export class PermanentError extends Error {
  override name = 'PermanentError';
}
