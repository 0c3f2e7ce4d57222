import { describe, expect, it } from 'vitest';
import { capAt, cascadeFrom, type Level, slotsAt } from './cascade.ts';

const level = (ord: number, max_recipients: number): Level => ({
  id: `level-${ord}`,
  name: `Level ${ord}`,
  ord,
  price_cents: 1500,
  max_recipients,
  vclock: 0,
});
const exclusive = level(1, 1);
const select = level(2, 3);
const standard = level(5, 5);
const levels = [exclusive, select, standard];

describe('the cascade of a lead', () => {
  it('goes once around from the start level', () => {
    expect(cascadeFrom(levels, 2)).toEqual([select, standard, exclusive]);
    expect(cascadeFrom(levels, 1)).toEqual(levels);
  });

  it('starts at the next level when the one it should start at is gone, and at the first behind the last', () => {
    expect(cascadeFrom(levels, 3)[0]).toBe(standard);
    expect(cascadeFrom(levels, 6)[0]).toBe(exclusive);
  });

  it('is empty in a niche without levels', () => {
    expect(cascadeFrom([], 1)).toEqual([]);
  });
});

describe('the promise to the buyers of a lead', () => {
  it('offers all places of a level to a lead nobody has', () => {
    expect(levels.map((each) => slotsAt(each, { assigned: 0, cap: null }))).toEqual([1, 3, 5]);
  });

  it('leaves no place anywhere after an exclusive sale', () => {
    expect(levels.map((each) => slotsAt(each, { assigned: 1, cap: 1 }))).toEqual([0, 0, 0]);
  });

  it('fills up at another level to the smaller of both maxima, never beyond', () => {
    expect(slotsAt(select, { assigned: 2, cap: 5 })).toBe(1);
    expect(slotsAt(standard, { assigned: 2, cap: 3 })).toBe(1);
    expect(slotsAt(select, { assigned: 4, cap: 5 })).toBeLessThanOrEqual(0);
  });

  it('only ever gets stricter', () => {
    expect([capAt(standard, null), capAt(select, 5), capAt(standard, 3)]).toEqual([5, 3, 3]);
  });
});
