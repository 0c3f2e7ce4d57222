import { describe, expect, it } from 'vitest';
import { createSampler, keepsJourney } from './sampling.ts';

/** Rates of so many lines that come within the second of `at`. */
function ratesOf(sampler: ReturnType<typeof createSampler>, lines: number): Map<number, number> {
  const counts = new Map<number, number>();
  for (let n = 0; n < lines; n += 1) {
    const rate = sampler.rate('job_completed');
    counts.set(rate, (counts.get(rate) ?? 0) + 1);
  }
  return counts;
}

describe('the rate of an event', () => {
  it('is 1 up to 50 lines a second, 0.1 up to 500, and 0.01 above', () => {
    expect([
      ...ratesOf(
        createSampler(undefined, () => 0),
        1_000,
      ),
    ]).toEqual([
      [1, 50],
      [0.1, 450],
      [0.01, 500],
    ]);
  });

  it('stays low while the next second is as busy, and rises when it was quiet', () => {
    let at = 0;
    const sampler = createSampler(undefined, () => at);
    ratesOf(sampler, 1_000);
    at = 1_000;
    expect([...ratesOf(sampler, 10)]).toEqual([[0.01, 10]]);
    at = 2_000;
    expect([...ratesOf(sampler, 10)]).toEqual([[1, 10]]);
    ratesOf(sampler, 1_000);
    at = 9_000;
    expect(sampler.rate('job_completed')).toBe(1);
    expect(sampler.rate('http_request')).toBe(1);
  });

  it('is the one given, however busy', () => {
    expect([
      ...ratesOf(
        createSampler(0.5, () => 0),
        1_000,
      ),
    ]).toEqual([[0.5, 1_000]]);
  });
});

describe('a journey', () => {
  const ids = Array.from({ length: 20_000 }, (_, n) => `journey-${n}`);

  it('that is kept at a low rate is kept at every higher one', () => {
    const kept = (rate: number) => ids.filter((id) => keepsJourney(id, rate));
    const [few, more] = [kept(0.01), kept(0.1)];
    expect(more).toEqual(expect.arrayContaining(few));
    expect(few.length / ids.length).toBeCloseTo(0.01, 2);
    expect(more.length / ids.length).toBeCloseTo(0.1, 1);
  });
});
