import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { repeatsKey } from './repeated-key.ts';

describe('a key that stands twice in one object', () => {
  it.each([
    '{"a":1,"a":2}',
    '{"a":1,"b":{"c":[{"d":1,"d":1}]}}',
    '[{}, {"a": {"x":1}, "b":2 , "a":3}]',
    '{"a":1,"\\u0061":2}',
    '{"":1,"":2}',
    '{"a\\"b":1,"a\\"b":2}',
    '{"a":"}","a":"{"}',
    '{"a":["x","y"],"a":1}',
  ])('is found in %s', (text) => {
    expect(repeatsKey(text)).toBe(true);
  });

  it.each([
    '{}',
    '[]',
    '"a"',
    '{"a":{"a":{"a":1}},"b":"a"}',
    '[{"a":1},{"a":2}]',
    '{"a":"a","b":["a","a",{"a":1}],"c":",\\"a\\":"}',
    '{"a\\\\":1,"a":2}',
    '{"a":"\\\\","b":"\\\\\\"","c":1}',
  ])('is not seen in %s', (text) => {
    expect(repeatsKey(text)).toBe(false);
  });

  it('is never seen in what a serializer wrote, however odd its keys', () => {
    fc.assert(fc.property(fc.json(), (text) => !repeatsKey(text)));
    const keys = fc.string({ unit: 'binary', maxLength: 4 });
    fc.assert(fc.property(fc.dictionary(keys, fc.jsonValue()), (value) => !repeatsKey(JSON.stringify(value))));
  });

  it('is found wherever one is put', () => {
    const keys = fc.string({ unit: 'binary', maxLength: 4 });
    const twice = fc.tuple(fc.dictionary(keys, fc.jsonValue(), { minKeys: 1 }), fc.jsonValue(), fc.nat());
    fc.assert(
      fc.property(twice, ([value, other, pick]) => {
        const key = Object.keys(value)[pick % Object.keys(value).length] ?? '';
        const text = JSON.stringify(value).slice(0, -1);
        return repeatsKey(`[1,${text},${JSON.stringify(key)}:${JSON.stringify(other)}}]`);
      }),
    );
  });
});
