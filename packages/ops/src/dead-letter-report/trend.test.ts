import { describe, expect, it } from 'vitest';
import { trendOf } from './trend.ts';

const trend = (count: number, hours: number, before: number, beforeHours = hours) =>
  trendOf({ count, hours }, { count: before, hours: beforeHours });

describe('the trend', () => {
  it.each([
    ['rises when the rate doubles', 200, 100, 'rising'],
    ['falls when it halves', 50, 100, 'falling'],
    ['is steady within a quarter', 1_200, 1_000, 'steady'],
    ['is steady where chance explains the difference', 3, 1, 'steady'],
    ['rises from nothing once that is no chance', 3, 0, 'rising'],
    ['falls to nothing', 0, 10, 'falling'],
    ['is steady at nothing', 0, 0, 'steady'],
  ])('%s', (_what, now, before, direction) => {
    expect(trend(now, 24, before).direction).toBe(direction);
  });

  it('compares rates: a window that has just begun is not falling', () => {
    expect(trend(10, 0.1, 100, 1)).toEqual({ direction: 'steady', rate_per_h: 100, previous_rate_per_h: 100 });
  });
});
