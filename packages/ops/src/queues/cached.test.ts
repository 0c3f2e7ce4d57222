import { describe, expect, it } from 'vitest';
import { cached } from './cached.ts';

/** A read whose answers are given by hand, on a clock that is set by hand. */
function open(staleMs?: number) {
  const reads: PromiseWithResolvers<string>[] = [];
  let time = 0;
  const read = cached({ ttlMs: 2_000, staleMs, now: () => time }, () => {
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

  it('makes the caller wait for the next value when the old one must not be served', async () => {
    const { read, answer, at } = open();
    void read();
    await answer('a');
    at(2_000);
    const next = read();
    await answer('b');
    expect(await next).toBe('b');
  });

  it('serves the old value while the next is read, until that is too old as well', async () => {
    const { read, reads, answer, at } = open(8_000);
    void read();
    await answer('a');
    at(2_000);
    expect([await read(), await read()]).toEqual(['a', 'a']);
    expect(reads).toHaveLength(2);
    at(10_000);
    const late = read();
    await answer('b');
    expect(await late).toBe('b');
    expect(reads).toHaveLength(2);
  });

  it('does not keep a failure, and tells of it only who waits', async () => {
    const { read, reads, answer, at } = open(8_000);
    void read();
    await answer('a');
    at(2_000);
    expect(await read()).toBe('a');
    reads.at(-1)?.reject(new Error('away'));
    await Promise.allSettled(reads.map(({ promise }) => promise));
    expect(await read()).toBe('a');
    at(12_000);
    const late = read();
    reads.at(-1)?.reject(new Error('still away'));
    await expect(late).rejects.toThrow('still away');
    const again = read();
    await answer('c');
    expect(await again).toBe('c');
  });
});
