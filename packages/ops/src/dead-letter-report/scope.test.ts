import { describe, expect, it } from 'vitest';
import { parseFilter } from '../filters/index.ts';
import { scopeOf } from './scope.ts';

describe('what the hours can answer', () => {
  it('is everything, a queue, a source and a whole fingerprint', () => {
    expect(scopeOf(parseFilter(''))).toEqual([]);
    expect(scopeOf(parseFilter('queue:work -fp:v1_0123456789abcdef'))).toEqual([
      { column: 'fingerprint', values: ['v1_0123456789abcdef'], negated: true },
      { column: 'queue_name', values: ['work'], negated: false },
    ]);
  });

  it.each(['state:open', 'fp:v1_0123456', 'cause:lost', 'queue:none', 'timeout'])('is not %s', (text) => {
    expect(scopeOf(parseFilter(text))).toBeUndefined();
  });
});
