import { describe, expect, it } from 'vitest';
import { type Finding, judge } from './discrepancy.ts';

const sound: Finding = {
  providerId: 'p',
  cachedCents: 5_000,
  ledgerCents: 5_000,
  hasGap: false,
  strayCents: 0,
  hasOpenCase: false,
};

describe('the verdict on a balance', () => {
  it.each([
    [0, 'nothing'],
    [1, 'tolerates'],
    [-1, 'tolerates'],
    [2, 'corrects'],
    [-2, 'corrects'],
    [100, 'corrects'],
    [-100, 'corrects'],
    [101, 'alerts'],
    [-101, 'alerts'],
  ])('of a difference of %i cents: %s', (cents, does) => {
    expect(judge({ ...sound, cachedCents: 5_000 + cents }).does).toBe(does);
  });

  it.each<[string, Partial<Finding>, string]>([
    ['a missing number, whatever the difference', { hasGap: true }, 'broken_chain'],
    ['a missing number beside a small difference', { hasGap: true, cachedCents: 5_050 }, 'broken_chain'],
    ['an entry that strays without a difference', { strayCents: 2 }, 'broken_chain'],
    ['an entry that strays by more than a dollar', { strayCents: 101, cachedCents: 5_050 }, 'broken_chain'],
    ['a ledger below zero', { ledgerCents: -1, cachedCents: 0 }, 'below_zero'],
    ['a small difference whose account waits for a person', { hasOpenCase: true, cachedCents: 5_002 }, 'difference'],
  ])('asks a person about %s', (_case, finding, cause) => {
    expect(judge({ ...sound, ...finding })).toEqual({ does: 'alerts', cause });
  });

  it('corrects a small difference that entries have carried on', () => {
    expect(judge({ ...sound, cachedCents: 5_060, strayCents: 60 })).toEqual({ does: 'corrects' });
  });
});
