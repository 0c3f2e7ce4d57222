import { describe, expect, it } from 'vitest';
import { planRetry } from './retry-plan.ts';

const now = new Date('2026-03-01T00:00:00Z');
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000);
const minutes = (count: number) => count * 60_000;

describe('a lead without a buyer', () => {
  it.each([
    [1, 15],
    [2, 60],
    [3, 360],
    [4, 1440],
  ])('after failed sale %i is offered again in %i minutes', (tries, wait) => {
    expect(planRetry({ tries, approvedAt: hoursAgo(1), now })).toEqual({ kind: 'retry', delayMs: minutes(wait) });
  });

  it('expires when the first sale and four retries have failed', () => {
    expect(planRetry({ tries: 5, approvedAt: hoursAgo(32), now })).toEqual({ kind: 'expire' });
  });

  it('expires 72 hours after its approval, but never before one retry', () => {
    expect(planRetry({ tries: 2, approvedAt: hoursAgo(72), now }).kind).toBe('retry');
    expect(planRetry({ tries: 2, approvedAt: hoursAgo(73), now }).kind).toBe('expire');
    expect(planRetry({ tries: 1, approvedAt: hoursAgo(100), now }).kind).toBe('retry');
  });
});
