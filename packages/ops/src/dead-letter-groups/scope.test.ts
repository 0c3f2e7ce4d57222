import { describe, expect, it } from 'vitest';
import { parseFilter } from '../filters/index.ts';
import { scopeOf } from './scope.ts';

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
