import { describe, expect, it } from 'vitest';
import { allowance, governor, governorLimits, type GovernorFacts } from './governor.ts';

const calm: GovernorFacts = { share: 1, backlog: 0, liveWaitMs: null, failureRatio: null, poolWaiting: 0 };
const limits = governorLimits;

describe('the governor', () => {
  it('grants what was asked while nothing suffers', () => {
    expect(governor(25, calm, limits)).toEqual({ share: 1, effective: 25, limited_by: 'asked' });
    expect(governor('auto', calm, limits)).toEqual({ share: 1, effective: null, limited_by: null });
  });

  it.each([
    ['live_wait', { liveWaitMs: 5_001 }],
    ['failures', { failureRatio: 0.3 }],
    ['pool', { poolWaiting: 6 }],
  ] as const)('halves for %s, second by second, and says so', (limited_by, strain) => {
    const first = governor(100, { ...calm, ...strain }, limits);
    expect(first).toEqual({ share: 0.5, effective: 50, limited_by });
    expect(governor(100, { ...calm, ...strain, share: first.share }, limits).effective).toBe(25);
  });

  it('doubles back when the strain is over, and never above what was asked', () => {
    expect(governor(100, { ...calm, share: 0.25 }, limits)).toMatchObject({ effective: 50, limited_by: 'recovering' });
    expect(governor(100, { ...calm, share: 0.5 }, limits)).toMatchObject({ effective: 100, limited_by: 'asked' });
  });

  it('gives auto a number as soon as it must yield, and never stands still', () => {
    expect(governor('auto', { ...calm, poolWaiting: 9 }, limits).effective).toBe(1_000);
    expect(governor(1, { ...calm, poolWaiting: 9, share: 1 / 64 }, limits).effective).toBe(1 / 64);
  });

  it('names a full window', () => {
    expect(governor('auto', { ...calm, backlog: limits.window }, limits).limited_by).toBe('window');
  });
});

describe('the allowance', () => {
  it('lets one item go at first, and then by time', () => {
    const now = 1_000_000;
    const first = allowance(now, now, 4);
    expect(first.count).toBe(1);
    const due = first.dueAfter(1);
    expect(due).toBe(now + 250);
    expect(allowance(due, now + 249, 4).count).toBe(0);
    expect(allowance(due, now + 250, 4).count).toBe(1);
  });

  it('does not catch up after it stood still', () => {
    const now = 1_000_000;
    expect(allowance(now - 60_000, now, 100).count).toBe(26);
    expect(allowance(null, now, 100).count).toBe(26);
  });

  it('lets no more than the rate and a quarter of it go in any second', () => {
    let due: number | null = null;
    const sent: number[] = [];
    for (let now = 5_000; now < 15_000; now += 137) {
      const { count, dueAfter } = allowance(due, now, 40);
      if (count > 0) due = dueAfter(count);
      sent.push(...Array.from({ length: count }, () => now));
    }
    for (const from of sent) {
      expect(sent.filter((at) => at >= from && at < from + 1_000).length).toBeLessThanOrEqual(51);
    }
    expect(sent.length).toBeGreaterThan(390);
    expect(sent.length).toBeLessThan(412);
  });
});
