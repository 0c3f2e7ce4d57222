import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areaCodesOf, isArea } from './areas.ts';

describe('the areas of a lead', () => {
  it.each([
    ['94107', ['*', 'US', 'US-CA', 'US-941']],
    [' 10001-1234 ', ['*', 'US', 'US-NY', 'US-100']],
    ['00501', ['*', 'US', 'US-NY', 'US-005']],
    ['20500', ['*', 'US', 'US-DC', 'US-205']],
    ['99501', ['*', 'US', 'US-AK', 'US-995']],
    ['78701', ['*', 'US', 'US-TX', 'US-787']],
    ['00100', ['*', 'US']],
  ])('of %s are %j', (postcode, areas) => expect(areaCodesOf(postcode)).toEqual(areas));

  it.each([undefined, null, '', '9410', '941071', 'SW1A 1AA', '94107\n94108', 'abcde'])(
    'are everywhere for %j',
    (postcode) => {
      expect(areaCodesOf(postcode)).toEqual(['*']);
    },
  );

  it('are all areas a subscription may name', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99_999 }), (number) => {
        expect(areaCodesOf(String(number).padStart(5, '0')).every(isArea)).toBe(true);
      }),
    );
  });
});

it.each(['', 'us', 'US-', 'US-XX', 'US-000', 'US-9410', 'DE', '**', 'US-constructor'])('%j is no area', (text) => {
  expect(isArea(text)).toBe(false);
});
