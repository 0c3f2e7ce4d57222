import { describe, expect, it } from 'vitest';
import { judgeCanary, pickCanary } from './canary.ts';

const items = (strata: string) => Array.from(strata, (stratum, at) => ({ ord: at + 1, stratum }));
const ords = (picked: { ord: number }[]) => picked.map(({ ord }) => ord);

describe('the pick of a canary', () => {
  it('takes the first, the last, and one of each stratum', () => {
    expect(ords(pickCanary(items('aaaabaca'), 5)).slice(0, 4)).toEqual([1, 8, 5, 7]);
  });

  it('fills up evenly from the rest', () => {
    expect(ords(pickCanary(items('a'.repeat(100)), 5))).toEqual([1, 100, 2, 34, 67]);
  });

  it('is all there is when there is less', () => {
    expect(ords(pickCanary(items('aba'), 5))).toEqual([1, 3, 2]);
    expect(pickCanary([], 5)).toEqual([]);
  });

  it('is never larger than asked, however many strata there are', () => {
    expect(pickCanary(items('abcdefghij'), 3)).toHaveLength(3);
    expect(ords(pickCanary(items('abc'), 1))).toEqual([1]);
  });
});

describe('the verdict on a canary', () => {
  const facts = (outcomes: string[], more = {}) => ({
    items: outcomes.map((outcome) => ({ outcome })),
    newFingerprints: [],
    isOver: false,
    ...more,
  });

  it('waits while it may still go either way', () => {
    expect(judgeCanary(facts(['succeeded', 'enqueued']), 1)).toBeUndefined();
    expect(judgeCanary(facts(['succeeded', 'failed', 'enqueued']), 0.5)).toBeUndefined();
  });

  it('passes when all are decided and enough succeeded', () => {
    expect(judgeCanary(facts(['succeeded', 'succeeded']), 1)?.verdict).toBe('passed');
    expect(judgeCanary(facts(['succeeded', 'failed']), 0.5)?.verdict).toBe('passed');
  });

  it('does not count what was skipped', () => {
    expect(judgeCanary(facts(['succeeded', 'skipped']), 1)?.verdict).toBe('passed');
  });

  it('fails as soon as too few can succeed', () => {
    expect(judgeCanary(facts(['failed', 'enqueued']), 1)?.verdict).toBe('failed');
  });

  it('fails for an error that the plan does not know, even when enough succeeded', () => {
    const judged = judgeCanary(facts(['succeeded', 'failed'], { newFingerprints: ['v1_new'] }), 0);
    expect(judged).toMatchObject({ verdict: 'failed', why: expect.stringContaining('v1_new') });
  });

  it('is inconclusive when its time is over', () => {
    expect(judgeCanary(facts(['succeeded', 'enqueued'], { isOver: true }), 1)?.verdict).toBe('inconclusive');
  });
});
