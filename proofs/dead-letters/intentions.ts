import type { Fate } from './jobs.ts';

/** What was acknowledged or done to the system, noted before the next step. The checker holds the system to it. */
export type Intention =
  /** A job exists, by its own commit or by force, and this is to become of it. */
  | { readonly kind: 'planned'; readonly marker: string; readonly queue: string; readonly fate: Fate }
  /** The API said that the letter is retried; its handlers are mended by now. */
  | { readonly kind: 'retried'; readonly marker: string; readonly letterId: string; readonly jobId: string }
  | { readonly kind: 'discarded'; readonly marker: string; readonly letterId: string }
  /** Many retries of one letter at the same moment, and how many of them were told that it is theirs. */
  | { readonly kind: 'raced'; readonly marker: string; readonly winners: number }
  /** A redrive was started. Its letters are those of `queue`. */
  | { readonly kind: 'redriven'; readonly redriveId: string; readonly items: number };
