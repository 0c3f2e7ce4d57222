import { expect, it } from 'vitest';
import { isGarbageDue } from './collect-garbage.ts';

it('stops the process for no export of up to 49 full pages, and for a million rows not more than 40 times', () => {
  const due = Array.from({ length: 1_001 }, (_, pages) => pages).filter(isGarbageDue);
  expect(due[0]).toBe(50);
  expect(due.length).toBeLessThanOrEqual(40);
});
