import { describe, expect, it, vi } from 'vitest';
import { repeating, type Runnable, together } from './index.ts';

const longMs = 60_000;

describe('a loop', () => {
  it('runs again at once while there is more, then pauses', async () => {
    let left = 3;
    const loop = repeating({
      name: 'test',
      everyMs: longMs,
      onError: () => {},
      runOnce: async () => ({ more: --left > 0 }),
    });
    await loop.start();
    await vi.waitFor(() => expect(left).toBe(0));
    await loop.stop();
    expect(left).toBe(0);
  });

  it('is woken out of its pause, and not lost when the hint comes in mid-pass', async () => {
    let passes = 0;
    const first = Promise.withResolvers<void>();
    const loop = repeating({
      name: 'test',
      everyMs: longMs,
      onError: () => {},
      runOnce: async () => {
        passes += 1;
        if (passes === 1) await first.promise;
        return { more: false };
      },
    });
    await loop.start();
    loop.wake();
    first.resolve();
    await vi.waitFor(() => expect(passes).toBe(2));
    loop.wake();
    await vi.waitFor(() => expect(passes).toBe(3));
    await loop.stop();
  });

  it('goes on after a pass that throws, and tells of it', async () => {
    const errors: unknown[] = [];
    let passes = 0;
    const loop = repeating({
      name: 'test',
      everyMs: 1,
      pauseAfterErrorMs: 1,
      onError: (error) => errors.push(error),
      runOnce: async () => {
        if (++passes === 1) throw new Error('once');
        return { more: false };
      },
    });
    await loop.start();
    await vi.waitFor(() => expect(passes).toBeGreaterThan(2));
    await loop.stop();
    expect(errors).toHaveLength(1);
  });

  it('finishes its pass before it has stopped, and may be stopped twice or before its start', async () => {
    let finished = false;
    const begun = Promise.withResolvers<void>();
    const loop = repeating({
      name: 'test',
      everyMs: longMs,
      onError: () => {},
      runOnce: async () => {
        begun.resolve();
        await new Promise((resolve) => setTimeout(resolve, 20));
        finished = true;
        return { more: false };
      },
    });
    await loop.stop();
    await loop.start();
    await begun.promise;
    await Promise.all([loop.stop(), loop.stop()]);
    expect(finished).toBe(true);
  });
});

describe('parts that run together', () => {
  const part = (name: string, log: string[], fails = false): Runnable => ({
    name,
    start: async () => {
      if (fails) throw new Error(`${name} failed`);
      log.push(`start ${name}`);
    },
    stop: async () => void log.push(`stop ${name}`),
  });

  it('start in order and stop in the reverse order', async () => {
    const log: string[] = [];
    const both = together('both', [part('a', log), part('b', log)]);
    await both.start();
    await both.stop();
    await both.stop();
    expect(log).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  it('stop what had started when one fails', async () => {
    const log: string[] = [];
    await expect(together('both', [part('a', log), part('b', log, true)]).start()).rejects.toThrow('b failed');
    expect(log).toContain('stop a');
  });
});
