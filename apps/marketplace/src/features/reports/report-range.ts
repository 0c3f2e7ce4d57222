import { refuse } from '../../errors.ts';

export interface Range {
  /** Included. */
  readonly from: Date;
  /** Excluded. */
  readonly to: Date;
}

export interface RangeRule {
  readonly now: Date;
  /** Default: no limit. */
  readonly mostDays?: number;
  readonly usualDays?: number;
  /** Where the range stands in the request. */
  readonly at: 'query' | 'body';
}

const day = 86_400_000;
const earliest = Date.UTC(2000, 0, 1);

/**
 * The range that is asked for, with what is left out filled in: up to now, from `usualDays` (30) before. `from` is before `to`, neither before the year
 * 2000 nor more than a day ahead, and no more than `mostDays` apart. Refuses `validation_failed` and says what would be valid.
 */
export function readRange(
  asked: { readonly from?: string | undefined; readonly to?: string | undefined },
  { now, mostDays, usualDays = 30, at }: RangeRule,
): Range {
  const to = asked.to === undefined ? now : new Date(asked.to);
  const from = asked.from === undefined ? new Date(to.getTime() - usualDays * day) : new Date(asked.from);
  const faults = [
    ...outOfTime(from, now).map((message) => ({ at: `${at}.from`, message })),
    ...outOfTime(to, now).map((message) => ({ at: `${at}.to`, message })),
  ];
  if (faults.length === 0 && from >= to) faults.push({ at: `${at}.to`, message: 'must be after `from`' });
  if (faults.length === 0 && mostDays !== undefined && to.getTime() - from.getTime() > mostDays * day)
    faults.push({ at: `${at}.to`, message: `must be at most ${mostDays} days after \`from\`` });
  if (faults.length > 0) throw refuse('validation_failed', { faults });
  return { from, to };
}

function outOfTime(moment: Date, now: Date): string[] {
  const latest = new Date(now.getTime() + day);
  if (moment.getTime() >= earliest && moment <= latest) return [];
  return [`must lie between 2000-01-01 and ${latest.toISOString().slice(0, 10)}`];
}
