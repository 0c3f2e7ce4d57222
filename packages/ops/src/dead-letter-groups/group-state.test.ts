import { describe, expect, it } from 'vitest';
import { type GroupFacts, growthOf, isGrowing, stateOf } from './group-state.ts';

const now = new Date('2026-01-02T12:00:00Z');
const before = new Date('2026-01-02T11:00:00Z');
const after = new Date('2026-01-02T13:00:00Z');
const facts: GroupFacts = {
  open: 2,
  deaths: 5,
  fixedIn: null,
  regressedAt: null,
  snoozedUntil: null,
  snoozedDeaths: null,
};

describe('the state of a group', () => {
  it('is active while something is open and nobody decided anything', () => {
    expect(stateOf(facts, now)).toBe('active');
  });

  it('is quiet when nothing is open, also after a regression', () => {
    expect(stateOf({ ...facts, open: 0 }, now)).toBe('quiet');
    expect(stateOf({ ...facts, open: 0, fixedIn: '1.2.0', regressedAt: before }, now)).toBe('quiet');
  });

  it('is fixed once somebody named the version, and regressed once it died there again', () => {
    expect(stateOf({ ...facts, fixedIn: '1.2.0' }, now)).toBe('fixed');
    expect(stateOf({ ...facts, open: 0, fixedIn: '1.2.0' }, now)).toBe('fixed');
    expect(stateOf({ ...facts, fixedIn: '1.2.0', regressedAt: before, snoozedUntil: after }, now)).toBe('regressed');
  });

  it('is snoozed until the time or the number of deaths, whichever comes first', () => {
    expect(stateOf({ ...facts, snoozedUntil: after }, now)).toBe('snoozed');
    expect(stateOf({ ...facts, snoozedUntil: before }, now)).toBe('active');
    expect(stateOf({ ...facts, snoozedDeaths: 5 }, now)).toBe('snoozed');
    expect(stateOf({ ...facts, snoozedDeaths: 4 }, now)).toBe('active');
    expect(stateOf({ ...facts, snoozedDeaths: 4, snoozedUntil: after }, now)).toBe('active');
  });
});

describe('growth', () => {
  const hours = (earlier: number, ...recent: number[]) => [...Array<number>(21).fill(earlier), ...recent];

  it('is 0 at a steady rate, above 0 when faster, below when slower', () => {
    expect(growthOf(hours(2, 2, 2, 2))).toBe(0);
    expect(growthOf(hours(2, 5, 2, 2))).toBeGreaterThan(0);
    expect(growthOf(hours(2, 0, 0, 0))).toBeLessThan(0);
  });

  it('shows as growing from three recent deaths and twice the rate on', () => {
    expect(isGrowing(hours(0, 0, 0, 3))).toBe(true);
    expect(isGrowing(hours(0, 0, 0, 2))).toBe(false);
    expect(isGrowing(hours(1, 2, 2, 2))).toBe(false);
    expect(isGrowing(hours(1, 2, 2, 3))).toBe(true);
  });
});
