import type { Tx } from '../postgres/index.ts';
import type { JobOutcome } from './outcome.ts';

/** What a handler is given. */
export interface Job<Payload = unknown> {
  readonly queue: string;
  readonly kind: string;
  readonly payload: Payload;
  readonly runKey: string;
  /** The key of the work itself, kept by every retry: use it as the idempotency key of outside effects. */
  readonly rootKey: string;
  /** From 1, over all attempts of this run that failed or crashed. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Fires at the kind's deadline and at shutdown; pass it on to whatever waits. */
  readonly signal: AbortSignal;
  /**
   * Runs `work` and the verdict `done` in one transaction: the effect and the end of the run are one commit.
   * Lock conflicts are tried up to 3 times in place. Call it at most once, as the last act of the handler.
   * Throws `Fenced` (and rolls back) when a newer attempt of the run has started elsewhere.
   */
  commit<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
}

/** Does one job. Without a call of `job.commit`, the verdict is written after the handler returns. */
export type JobHandler<Payload = unknown> = (job: Job<Payload>) => Promise<JobOutcome>;
