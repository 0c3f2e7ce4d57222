import { describe, expect, it } from 'vitest';
import { changePct, doubtsOf, planHash } from './price-plan.ts';

const edit = { levelId: 'l', version: 3, fromCents: 2_000, toCents: 2_200 };
const effect = { active: 100, becomesUnfunded: 0, becomesFunded: 0 };

describe('a plan of a price', () => {
  it('says its change in percent, to two places', () => {
    expect([changePct(2_800, 280_000), changePct(3_000, 2_000), changePct(1_500, 1_500)]).toEqual([9_900, -33.33, 0]);
  });

  it.each([
    ['nothing about a change of half', { toCents: 3_000 }, {}, []],
    ['a change beyond half', { toCents: 3_001 }, {}, ['large_change']],
    ['a cut beyond half', { toCents: 999 }, {}, ['large_change']],
    ['nothing below a twentieth of the subscriptions', {}, { becomesUnfunded: 4 }, []],
    ['a twentieth of the subscriptions', {}, { becomesUnfunded: 5 }, ['many_unfunded']],
    ['nothing about a level that nobody subscribes to', {}, { active: 0 }, []],
  ])('doubts %s', (_case, change, counts, doubts) => {
    expect(doubtsOf({ ...edit, ...change }, { ...effect, ...counts })).toEqual(doubts);
  });

  it('has another hash as soon as the level, the price or who is affected changes', () => {
    const hashes = [
      planHash(edit, effect),
      planHash({ ...edit, version: 4 }, effect),
      planHash({ ...edit, toCents: 2_201 }, effect),
      planHash(edit, { ...effect, becomesUnfunded: 1 }),
      planHash(edit, { ...effect, becomesFunded: 1 }),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(planHash(edit, { ...effect, active: 99 })).toBe(hashes[0]);
  });
});
