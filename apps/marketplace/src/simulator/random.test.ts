import { describe, expect, it } from 'vitest';
import { idOf, type Random, streamOf } from './random.ts';

const drawn = (stream: Random, count = 5) => Array.from({ length: count }, () => stream.next());
const meanOf = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('a stream of numbers', () => {
  it('is the same for the same seed, kind and index', () => {
    expect(drawn(streamOf(42, 'lead', 7))).toEqual(drawn(streamOf(42, 'lead', 7)));
  });

  it('is as it was when it was written: a world that is made again is the same world', () => {
    expect(streamOf(42, 'lead', 7).next()).toBeCloseTo(0.7518982188776135, 12);
  });

  it('is another for another seed, kind or index', () => {
    const firsts = [streamOf(42, 'lead', 7), streamOf(43, 'lead', 7), streamOf(42, 'lead', 8), streamOf(42, 'sale', 7)];
    expect(new Set(firsts.map((stream) => stream.next())).size).toBe(4);
  });

  it('does not depend on what was drawn elsewhere', () => {
    const other = streamOf(42, 'lead', 6);
    const alone = drawn(streamOf(42, 'lead', 7));
    drawn(other, 100);
    expect(drawn(streamOf(42, 'lead', 7))).toEqual(alone);
  });

  it('spreads evenly, also over the firsts of neighbours', () => {
    const firsts = Array.from({ length: 10_000 }, (_, at) => streamOf(1, 'lead', at).next());
    const tenths = firsts.reduce<number[]>((counts, value) => {
      counts[Math.floor(value * 10)] = (counts[Math.floor(value * 10)] ?? 0) + 1;
      return counts;
    }, []);
    for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  it('draws from the shapes it names', () => {
    const stream = streamOf(1, 'shape');
    const values = (draw: () => number) => Array.from({ length: 20_000 }, draw);
    expect(meanOf(values(() => stream.normal()))).toBeCloseTo(0, 1);
    expect(meanOf(values(() => stream.exponential(5))) / 5).toBeCloseTo(1, 1);
    expect(values(() => stream.logNormal(150, 0.8)).filter((value) => value < 150).length / 20_000).toBeCloseTo(0.5, 1);
    expect(new Set(values(() => stream.between(1, 3)))).toEqual(new Set([1, 2, 3]));
  });

  it('shuffles without losing anything, and picks from something only', () => {
    expect(
      streamOf(1, 'order')
        .shuffled([1, 2, 3, 4])
        .toSorted((a, b) => a - b),
    ).toEqual([1, 2, 3, 4]);
    expect(() => streamOf(1, 'order').pick([])).toThrow(RangeError);
  });
});

describe('an id', () => {
  it('is a UUID, the same for the same thing and another for another', () => {
    expect(idOf(42, 'lead', 7)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(idOf(42, 'lead', 7)).toBe(idOf(42, 'lead', 7));
    expect(new Set([idOf(42, 'lead', 7), idOf(42, 'lead', 8), idOf(43, 'lead', 7), idOf(42, 'user', 7)]).size).toBe(4);
  });
});
