import { describe, expect, it } from 'vitest';
import type { DispatchResult } from './dispatch.ts';
import { dispatchInTurns } from './dispatcher.ts';

const whole: DispatchResult = { dispatched: 500, refused: 0, more: true };
const last: DispatchResult = { dispatched: 20, refused: 1, more: false };

/** Calls that end as they are told, and how many of them each turn made. */
function turnsOf(ends: (DispatchResult | Error)[]) {
  let calls = 0;
  const turn = dispatchInTurns(async () => {
    const end = ends[calls++] ?? last;
    if (end instanceof Error) throw end;
    return end;
  });
  return async () => {
    const before = calls;
    const result = await turn().catch((error: unknown) => error);
    return [calls - before, result];
  };
}

describe('the turns of a dispatcher', () => {
  it('are of two calls while more waits, and of one when it does not', async () => {
    const turn = turnsOf([whole, whole, last, last]);
    expect(await turn()).toEqual([1, whole]);
    expect(await turn()).toEqual([2, { dispatched: 520, refused: 1, more: true }]);
    expect(await turn()).toEqual([2, { dispatched: 40, refused: 2, more: false }]);
    expect(await turn()).toEqual([1, last]);
  });

  it('end when both calls have, throw what one of them threw, and are of one call then', async () => {
    const away = new Error('Connection is closed.');
    for (const ends of [
      [away, whole],
      [whole, away],
    ]) {
      const turn = turnsOf([whole, ...ends]);
      await turn();
      expect(await turn()).toEqual([2, away]);
      expect(await turn()).toEqual([1, last]);
    }
  });
});
