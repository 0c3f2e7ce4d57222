import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, choose } from './ranking.ts';

const priceCents = 1500;
let made = 0;

function candidate({ vt = 0, balanceCents = 100_000, weight = 1 }: Partial<Candidate> = {}): Candidate {
  made += 1;
  const id = `subscription-${made}`;
  return {
    subscriptionId: id,
    providerId: `provider-${made}`,
    vt,
    weight,
    balanceCents,
    day: '2026-01-05',
    dayNumber: 1,
    dailyCap: null,
  };
}
const rich = () => candidate();
const poor = () => candidate({ balanceCents: priceCents - 1 });

describe('the choice among candidates', () => {
  it('serves those who can pay, in order, up to the number of places', () => {
    const [first, second, third] = [rich(), rich(), rich()];
    const { served } = choose([first, second, third], { slots: 2, priceCents, vclock: 0 });
    expect(served.map((one) => one.subscriptionId)).toEqual([first.subscriptionId, second.subscriptionId]);
  });

  it('pauses those who cannot pay and stood before the last one served, and leaves the rest alone', () => {
    const [early, late] = [poor(), poor()];
    const { served, unfunded } = choose([early, rich(), late, rich(), poor()], { slots: 2, priceCents, vclock: 0 });
    expect(served).toHaveLength(2);
    expect(unfunded).toEqual([early, late]);
  });

  it('pauses nobody when nobody can pay', () => {
    expect(choose([poor(), poor()], { slots: 5, priceCents, vclock: 70 })).toEqual({
      served: [],
      unfunded: [],
      clock: 70,
    });
  });

  it('takes a balance of exactly the price', () => {
    expect(choose([candidate({ balanceCents: priceCents })], { slots: 1, priceCents, vclock: 0 }).served).toHaveLength(
      1,
    );
  });

  it('puts the served behind the clock by a turn that is shorter for a larger weight', () => {
    const heavy = candidate({ vt: 10, weight: 10 });
    const light = candidate({ vt: 40, weight: 1 });
    const { served, clock } = choose([heavy, light], { slots: 2, priceCents, vclock: 30 });
    expect(clock).toBe(40);
    expect(served.map((one) => one.nextVt)).toEqual([40 + 252, 40 + 2520]);
  });

  it('never lets the clock run backwards', () => {
    expect(choose([candidate({ vt: 5 })], { slots: 1, priceCents, vclock: 900 }).clock).toBe(900);
  });

  it('keeps its word for any candidates: enough places, whole times, order kept, money enough', () => {
    const anyCandidate = fc
      .record({ vt: fc.nat(100_000), balanceCents: fc.nat(3_000), weight: fc.integer({ min: 1, max: 10 }) })
      .map((fields) => candidate(fields));
    fc.assert(
      fc.property(fc.array(anyCandidate, { maxLength: 30 }), fc.nat(6), fc.nat(100_000), (unordered, slots, vclock) => {
        const candidates = unordered.toSorted((one, other) => one.vt - other.vt);
        const { served, unfunded, clock } = choose(candidates, { slots, priceCents, vclock });
        const payers = candidates.filter((one) => one.balanceCents >= priceCents);
        expect(served.map((one) => one.subscriptionId)).toEqual(
          payers.slice(0, slots).map((one) => one.subscriptionId),
        );
        expect(unfunded.every((one) => one.balanceCents < priceCents)).toBe(true);
        expect(clock).toBeGreaterThanOrEqual(vclock);
        for (const one of served) {
          expect(Number.isInteger(one.nextVt)).toBe(true);
          expect(one.nextVt).toBeGreaterThan(Math.max(one.vt, vclock));
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('fairness over many choices', () => {
  it('serves everyone once before anyone twice when all weigh the same', () => {
    let queue = Array.from({ length: 60 }, () => rich());
    let vclock = 0;
    const times = new Map<string, number>();
    for (let round = 0; round < 12; round += 1) {
      const { served, clock } = choose(queue, { slots: 5, priceCents, vclock });
      vclock = clock;
      for (const one of served) times.set(one.subscriptionId, (times.get(one.subscriptionId) ?? 0) + 1);
      queue = reorder(queue, served);
    }
    expect([...times.values()]).toEqual(Array.from({ length: 60 }, () => 1));
  });

  it('serves in proportion to the weights in the long run', () => {
    let queue = [candidate({ weight: 1 }), candidate({ weight: 4 })];
    const heavy = queue[1]?.subscriptionId;
    let vclock = 0;
    let heavyServed = 0;
    for (let round = 0; round < 1_000; round += 1) {
      const { served, clock } = choose(queue, { slots: 1, priceCents, vclock });
      vclock = clock;
      if (served[0]?.subscriptionId === heavy) heavyServed += 1;
      queue = reorder(queue, served);
    }
    expect(heavyServed / 1_000).toBeCloseTo(0.8, 1);
  });
});

function reorder(queue: readonly Candidate[], served: readonly (Candidate & { nextVt: number })[]): Candidate[] {
  const next = new Map(served.map((one) => [one.subscriptionId, one.nextVt]));
  return queue
    .map((one) => ({ ...one, vt: next.get(one.subscriptionId) ?? one.vt }))
    .toSorted((one, other) => one.vt - other.vt);
}
