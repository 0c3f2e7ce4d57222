import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Lane } from './lane.ts';

const open = (concurrency: number) => {
  const wanted: number[] = [];
  return { wanted, lane: new Lane({ concurrency, onWanted: (jobs) => wanted.push(jobs) }) };
};

describe('a lane', () => {
  it('never lets more handlers run than its concurrency, and lets each of them run', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(3), { maxLength: 40 }), async (places, jobs) => {
        const { lane } = open(places);
        let running = 0;
        let most = 0;
        let ran = 0;
        await Promise.all(
          jobs.map(async (turns) => {
            const turn = lane.enter();
            if (turn) await turn;
            most = Math.max(most, ++running);
            for (let at = 0; at < turns; at += 1) await Promise.resolve();
            running -= 1;
            ran += 1;
            lane.leave();
          }),
        );
        expect(ran).toBe(jobs.length);
        expect(most).toBeLessThanOrEqual(places);
        expect(lane.enter()).toBeUndefined();
      }),
    );
  });

  it('fetches two more ahead for each short job, and none when they become long', () => {
    const { lane, wanted } = open(32);
    for (let at = 0; at < 32; at += 1) lane.learn(1, 2);
    expect(wanted).toEqual([34]);
    for (let at = 0; at < 1_000; at += 1) lane.learn(1, 2);
    expect(wanted).toEqual(Array.from({ length: 368 }, (_, at) => 34 + 2 * at));
    for (let at = 0; at < 64; at += 1) lane.learn(50, 2);
    expect(wanted.at(-1)).toBe(32);
  });

  it.each([
    [64, 1_024],
    [100, 1_024],
    [1_000, 1_024],
  ])('with %i places has %i jobs in hand at most', (places, most) => {
    const { lane, wanted } = open(places);
    for (let at = 0; at < 2_000; at += 1) lane.learn(1, 2);
    expect(wanted.at(-1)).toBe(most);
  });

  it('does not fetch ahead while recording costs next to nothing', () => {
    const { lane, wanted } = open(32);
    for (let at = 0; at < 500; at += 1) lane.learn(1, 0.1);
    expect(wanted).toEqual([]);
  });

  it('does not fetch ahead for a queue of few places, nor before it has seen enough', () => {
    const small = open(4);
    for (let at = 0; at < 500; at += 1) small.lane.learn(1, 2);
    expect(small.wanted).toEqual([]);
    const fresh = open(32);
    for (let at = 0; at < 31; at += 1) fresh.lane.learn(1, 2);
    expect(fresh.wanted).toEqual([]);
  });
});
