import { describe, expect, it } from 'vitest';
import { parseFilter } from '../filters/index.ts';
import { recentOf, scopeOf } from './scope.ts';

const scope = (text: string) => scopeOf(parseFilter(text));

describe('what the sums can answer', () => {
  it('is everything, a state they keep, a queue and a source', () => {
    expect(scope('')).toEqual({ states: ['open', 'resolved', 'discarded'], names: [] });
    expect(scope('state:closed')?.states).toEqual(['resolved', 'discarded']);
    expect(scope('state:open,discarded')?.states).toEqual(['open', 'discarded']);
    expect(scope('-state:open')?.states).toEqual(['resolved', 'discarded']);
    expect(scope('state:open state:closed')?.states).toEqual([]);
    expect(scope('queue:work -source:stream')?.names).toEqual([
      { column: 'source', values: ['stream'], negated: true },
      { column: 'queue_name', values: ['work'], negated: false },
    ]);
  });

  it.each(['state:snoozed', 'error:TypeError', 'queue:none', 'timeout', 'failed:>2026-01-01T00:00:00Z'])(
    'is not %s',
    (text) => {
      expect(scope(text)).toBeUndefined();
    },
  );
});

describe('what the index of fingerprints can answer', () => {
  const recent = (text: string) => recentOf(parseFilter(text, { now: new Date('2026-01-02T00:00:00Z') }));

  it('is a begin, of all letters, the open or the closed ones', () => {
    const since = '2026-01-01T00:00:00.000Z';
    expect(recent('age:<24h')).toEqual({ since, op: '>', resolved: [false, true] });
    expect(recent(`failed:>=${since} state:open`)).toEqual({ since, op: '>=', resolved: [false] });
    expect(recent('age:<=24h state:closed')).toEqual({ since, op: '>=', resolved: [true] });
  });

  it.each([
    '',
    'age:>24h',
    '-age:<24h',
    'age:<24h age:<1h',
    'age:<24h state:resolved',
    'age:<24h queue:work',
    'age:<1h cause:lost',
  ])('is not %s', (text) => {
    expect(recent(text)).toBeUndefined();
  });
});
