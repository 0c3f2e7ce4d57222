import { describe, expect, it } from 'vitest';
import { cached } from './cached.ts';

/** A read whose answers are given by hand, on a clock that is set by hand. */
function open() {
  const reads: PromiseWithResolvers<string>[] = [];
  let time = 0;
  const read = cached({ ttlMs: 2_000, now: () => time }, () => {
    const next = Promise.withResolvers<string>();
    reads.push(next);
    return next.promise;
  });
  const answer = async (value: string) => {
    reads.at(-1)?.resolve(value);
    await Promise.resolve();
  };
  return { read, reads, answer, at: (ms: number) => void (time = ms) };
}

describe('a cached read', () => {
  it('is one read for all who ask at once, and serves its time', async () => {
    const { read, reads, answer, at } = open();
    const asked = [read(), read(), read()];
    await answer('a');
    expect(await Promise.all(asked)).toEqual(['a', 'a', 'a']);
    at(1_999);
    expect(await read()).toBe('a');
    expect(reads).toHaveLength(1);
  });

  it('makes callers wait for the next value when the time of the old one is over', async () => {
    const { read, reads, answer, at } = open();
    void read();
    await answer('a');
    at(2_000);
    const next = [read(), read()];
    await answer('b');
    expect(await Promise.all(next)).toEqual(['b', 'b']);
    expect(reads).toHaveLength(2);
  });

  it('does not keep a failure, nor hide it behind an old value', async () => {
    const { read, reads, answer, at } = open();
    void read();
    await answer('a');
    at(2_000);
    const failing = read();
    reads.at(-1)?.reject(new Error('away'));
    await expect(failing).rejects.toThrow('away');
    const again = read();
    await answer('b');
    expect(await again).toBe('b');
  });
});
