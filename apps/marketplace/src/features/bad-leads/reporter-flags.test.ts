import { describe, expect, it } from 'vitest';
import { flagsOf, historyOf, noReports } from './reporter-flags.ts';

const usual = { assignments: 100, reported: 8, decided: 6, approved: 5, peers: 20, peers_reported: 9 };

describe('the flags of a provider who reports', () => {
  it('are none for the usual share of reports, mostly granted and shared by others', () => {
    expect(flagsOf(usual)).toEqual([]);
  });

  it.each([
    ['reports_often', { ...usual, reported: 25 }],
    ['mostly_rejected', { ...usual, approved: 2 }],
    ['peers_disagree', { ...usual, peers_reported: 3 }],
  ])('say %s at its line', (flag, counts) => {
    expect(flagsOf(counts)).toEqual([flag]);
  });

  it.each([
    ['24 of 100 reported', { ...usual, reported: 24 }],
    ['half of the decided granted', { ...usual, approved: 3 }],
    ['a fifth of the peers of one mind', { ...usual, peers_reported: 4 }],
    [
      'four of four reported and turned down',
      { assignments: 4, reported: 4, decided: 4, approved: 0, peers: 4, peers_reported: 0 },
    ],
  ])('say nothing of %s', (_what, counts) => {
    expect(flagsOf(counts)).toEqual([]);
  });

  it('say all of an abuser', () => {
    const abuser = { assignments: 20, reported: 20, decided: 10, approved: 1, peers: 60, peers_reported: 2 };
    expect(flagsOf(abuser)).toEqual(['reports_often', 'mostly_rejected', 'peers_disagree']);
  });
});

describe('the history of a provider', () => {
  it('has no rate where there is nothing to divide', () => {
    expect(historyOf(noReports)).toEqual({ ...noReports, reported_share: null, approval_rate: null, flags: [] });
    expect(historyOf(usual)).toMatchObject({ reported_share: 0.08, approval_rate: 5 / 6 });
  });
});
