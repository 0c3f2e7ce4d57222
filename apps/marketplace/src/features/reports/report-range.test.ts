import { describe, expect, it } from 'vitest';
import { readRange } from './report-range.ts';

const now = new Date('2026-03-10T12:00:00Z');
const read = (from?: string, to?: string) => readRange({ from, to }, { now, mostDays: 366, at: 'query' });

describe('the range of a report', () => {
  it('is the last 30 days where nothing is said', () => {
    expect(read()).toEqual({ from: new Date('2026-02-08T12:00:00Z'), to: now });
  });

  it('takes a date for its midnight in UTC, and a moment with its offset for that moment', () => {
    expect(read('2026-01-01', '2026-01-02T00:00:00+02:00')).toEqual({
      from: new Date('2026-01-01T00:00:00Z'),
      to: new Date('2026-01-01T22:00:00Z'),
    });
  });

  it.each([
    ['2026-01-02', '2026-01-01', { at: 'query.to', message: 'must be after `from`' }],
    ['2026-01-01', '2026-01-01', { at: 'query.to', message: 'must be after `from`' }],
    ['2024-01-01', '2026-01-01', { at: 'query.to', message: 'must be at most 366 days after `from`' }],
    ['1999-12-31', '2000-01-02', { at: 'query.from', message: 'must lie between 2000-01-01 and 2026-03-11' }],
    ['2026-03-01', '2026-03-12', { at: 'query.to', message: 'must lie between 2000-01-01 and 2026-03-11' }],
  ])('from %s to %s is refused, and it is said what would be valid', (from, to, fault) => {
    expect(() => read(from, to)).toThrow(
      expect.objectContaining({ code: 'validation_failed', details: { faults: [fault] } }) as Error,
    );
  });
});
