/** Deaths in a stretch of time. */
export interface Stretch {
  readonly count: number;
  readonly hours: number;
}

export interface Trend {
  readonly direction: 'rising' | 'falling' | 'steady';
  readonly rate_per_h: number;
  readonly previous_rate_per_h: number;
}

/** A rate that changed by less than a quarter is steady. */
const steadyBand = 0.25;

/**
 * Compares rates, not counts, as the running hour is not over. Steady unless the rate changed by a quarter, and by more than chance
 * explains: twice the square root of what was to be expected.
 */
export function trendOf(now: Stretch, before: Stretch): Trend {
  const rate = now.count / now.hours;
  const previous = before.count / before.hours;
  const expected = previous * now.hours;
  const isChance = Math.abs(now.count - expected) <= 2 * Math.sqrt(Math.max(expected, 1));
  const isSmall = Math.abs(rate - previous) <= steadyBand * previous;
  const direction = isChance || isSmall ? 'steady' : rate > previous ? 'rising' : 'falling';
  return { direction, rate_per_h: rounded(rate), previous_rate_per_h: rounded(previous) };
}

function rounded(rate: number): number {
  return Math.round(rate * 100) / 100;
}
