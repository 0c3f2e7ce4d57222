import type { RedriveRate } from './contract.ts';

/** What the governor looks at, once a second. */
export interface GovernorFacts {
  /** Share of the asked rate that it granted last; 1 at first. */
  readonly share: number;
  /** Items sent whose outcome is not known. */
  readonly backlog: number;
  /** Wait of the oldest ready job that is no retry, in ms; null when none waits. */
  readonly liveWaitMs: number | null;
  /** Failed among the last verdicts, 0 to 1; null without verdicts. */
  readonly failureRatio: number | null;
  /** Callers waiting for a connection to Postgres. */
  readonly poolWaiting: number;
}

export interface GovernorLimits {
  /** Items that may be sent and undecided. */
  readonly window: number;
  readonly liveWaitMs: number;
  readonly failureRatio: number;
  readonly poolWaiting: number;
}

export const governorLimits: GovernorLimits = {
  window: 10_000,
  liveWaitMs: 5_000,
  failureRatio: 0.25,
  poolWaiting: 5,
};

export type LimitedBy = 'asked' | 'window' | 'live_wait' | 'failures' | 'pool' | 'recovering';

export interface Grant {
  readonly share: number;
  /** Items a second; null while only the window limits it. */
  readonly effective: number | null;
  readonly limited_by: LimitedBy | null;
}

/** What `auto` is a share of, once it must yield: items a second. */
const autoBase = 2_000;
const leastShare = 1 / 64;

/** How fast a redrive may go. Halves for each second in which live traffic suffers, and doubles back to what was asked. Pure. */
export function governor(asked: RedriveRate, facts: GovernorFacts, limits: GovernorLimits): Grant {
  const strain = strainOf(facts, limits);
  const share = strain ? Math.max(leastShare, facts.share / 2) : Math.min(1, facts.share * 2);
  const effective = asked === 'auto' ? (share === 1 ? null : autoBase * share) : asked * share;
  return { share, effective, limited_by: strain ?? restOf(asked, share, facts.backlog >= limits.window) };
}

function strainOf(facts: GovernorFacts, limits: GovernorLimits): LimitedBy | undefined {
  if ((facts.liveWaitMs ?? 0) > limits.liveWaitMs) return 'live_wait';
  if ((facts.failureRatio ?? 0) > limits.failureRatio) return 'failures';
  if (facts.poolWaiting > limits.poolWaiting) return 'pool';
  return undefined;
}

function restOf(asked: RedriveRate, share: number, isFull: boolean): LimitedBy | null {
  if (share < 1) return 'recovering';
  if (isFull) return 'window';
  return asked === 'auto' ? null : 'asked';
}

/** Time whose items may go out at once, in ms: a redrive that stood still does not catch up. */
const burstMs = 250;

/**
 * How many items may go out now, and when the next one may if they all do. `due` and the rate are all that is remembered, both in
 * Postgres, so that a restart cannot burst. Pure; times in ms.
 */
export function allowance(
  due: number | null,
  now: number,
  perSecond: number,
): { count: number; dueAfter(taken: number): number } {
  const from = Math.max(due ?? 0, now - burstMs);
  const count = now < from ? 0 : Math.floor(((now - from) * perSecond) / 1_000) + 1;
  return { count, dueAfter: (taken) => from + (taken * 1_000) / perSecond };
}
