import { describe, expect, it } from 'vitest';
import { quantileOf, runOpenLoop } from './open-loop.ts';

describe('an open loop', () => {
  it('does not wait for answers: who comes later is not held up by who came before', async () => {
    const { promise: release, resolve } = Promise.withResolvers<void>();
    let waiting = 0;
    let most = 0;
    const fire = async () => {
      waiting += 1;
      most = Math.max(most, waiting);
      await release;
      waiting -= 1;
    };
    setTimeout(resolve, 400);
    const { arrivals, failures } = await runOpenLoop({ rate: 100, seconds: 0.3, seed: 1, fire });
    expect([most, failures]).toEqual([arrivals, []]);
    expect(arrivals).toBeGreaterThan(10);
  });

  it('fires at the same times for the same seed, as many as its rate says, and keeps failures', async () => {
    const times = async (seed: number) => {
      const intended: number[] = [];
      const { failures } = await runOpenLoop({
        rate: 200,
        seconds: 0.2,
        seed,
        fire: async (_n, at) => {
          intended.push(at);
          if (intended.length === 3) throw new Error('refused');
        },
      });
      const first = intended[0] ?? 0;
      return { offsets: intended.map((at) => Math.round(at - first)), failures: failures.length };
    };
    const one = await times(7);
    expect(await times(7)).toEqual(one);
    expect((await times(8)).offsets).not.toEqual(one.offsets);
    expect([one.failures, one.offsets.length > 20, one.offsets.length < 60]).toEqual([1, true, true]);
  });

  it('names the value below which a share lies', () => {
    expect([quantileOf([5, 1, 3, 2, 4], 0.5), quantileOf([5, 1, 3, 2, 4], 0.95), quantileOf([], 0.5)]).toEqual([
      3, 5, 0,
    ]);
  });
});
