import { expect, it } from 'vitest';
import { nextCleanup } from './next-cleanup.ts';

it.each([
  ['2026-01-01T10:00:00Z', '2026-01-04T00:00:00.000Z'],
  ['2026-01-03T23:59:59Z', '2026-01-04T00:00:00.000Z'],
  ['2026-01-04T00:00:00Z', '2026-01-11T00:00:00.000Z'],
])('the cleanup after %s is at %s', (now, expected) => {
  expect(nextCleanup(new Date(now)).toISOString()).toBe(expected);
});
