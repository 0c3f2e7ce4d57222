import { describe, expect, it } from 'vitest';
import { isAtLeast } from './version-order.ts';

const none = new Map<string, string>();

describe('the order of versions', () => {
  it.each([
    ['1.2.0', '1.2.0', true],
    ['1.10.0', '1.9.9', true],
    ['1.9.9', '1.10.0', false],
    ['v2.0', '1.9.9', true],
    ['1.2', '1.2.0', true],
    ['1.2.0-rc.1', '1.2.0', false],
    ['1.2.0', '1.2.0-rc.1', true],
    ['1.2.0+build.7', '1.2.0', true],
  ])('%s is at least %s: %s', (version, fixedIn, expected) => {
    expect(isAtLeast(version, fixedIn, none)).toBe(expected);
  });

  it('goes by the first start of workers where the names are no numbers', () => {
    const starts = new Map([
      ['a1b2c3d', '2026-01-01T00:00:00Z'],
      ['d4e5f60', '2026-01-02T00:00:00Z'],
    ]);
    expect(isAtLeast('d4e5f60', 'a1b2c3d', starts)).toBe(true);
    expect(isAtLeast('a1b2c3d', 'd4e5f60', starts)).toBe(false);
  });

  it('does not take an unknown name for newer', () => {
    expect(isAtLeast('unknown', '1.2.0', none)).toBe(false);
    expect(isAtLeast('', '1.2.0', none)).toBe(false);
  });
});
