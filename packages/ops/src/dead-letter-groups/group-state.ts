/** `quiet`: nothing of the group is open. */
export type GroupState = 'active' | 'snoozed' | 'fixed' | 'regressed' | 'quiet';

/** What decides a group's state. */
export interface GroupFacts {
  readonly open: number;
  /** Deaths so far. */
  readonly deaths: number;
  readonly fixedIn: string | null;
  readonly regressedAt: Date | null;
  readonly snoozedUntil: Date | null;
  /** Snoozed until there are more deaths than this. */
  readonly snoozedDeaths: number | null;
}

/** A group with nothing open is fixed or quiet, whatever else is known of it: there is nothing to do. */
export function stateOf(facts: GroupFacts, now: Date): GroupState {
  if (facts.open === 0) return facts.fixedIn !== null && !facts.regressedAt ? 'fixed' : 'quiet';
  if (facts.regressedAt) return 'regressed';
  if (isSnoozed(facts, now)) return 'snoozed';
  return facts.fixedIn === null ? 'active' : 'fixed';
}

/** A snooze ends with the first of its limits. */
export function isSnoozed(
  { snoozedUntil, snoozedDeaths, deaths }: Pick<GroupFacts, 'snoozedUntil' | 'snoozedDeaths' | 'deaths'>,
  now: Date,
): boolean {
  if (snoozedUntil === null && snoozedDeaths === null) return false;
  return (snoozedUntil === null || snoozedUntil > now) && (snoozedDeaths === null || deaths <= snoozedDeaths);
}

/** Hours that count as recent in {@link growthOf}, the running one among them. */
export const recentHours = 3;

/**
 * How much faster a group grows than before, of its deaths in the last 24 hours, oldest first: the recent three hours against the rate
 * of the 21 before. Above 0 is faster.
 */
export function growthOf(hourly: readonly number[]): number {
  const { recent, earlier } = parts(hourly);
  return recent * 7 - earlier;
}

/** At least three recent deaths, and more than twice the rate of before. */
export function isGrowing(hourly: readonly number[]): boolean {
  const { recent, earlier } = parts(hourly);
  return recent >= 3 && recent * 7 > 2 * earlier;
}

function parts(hourly: readonly number[]): { recent: number; earlier: number } {
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  return { recent: sum(hourly.slice(-recentHours)), earlier: sum(hourly.slice(0, -recentHours)) };
}
