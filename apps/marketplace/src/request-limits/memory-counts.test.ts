import { describe, expect, it } from 'vitest';
import { MemoryCounts } from './memory-counts.ts';

const charge = (key: string, limit: number) => ({ key, limit, name: 'address', windowMs: 1_000 }) as const;

describe('counts in memory', () => {
  it('end with their window, which begins with its first request', () => {
    const counts = new MemoryCounts();
    const one = [charge('a', 2)];
    expect([0, 400, 900].map((now) => counts.take(one, now))).toEqual([
      [0, 0],
      [0, 0],
      [1, 100],
    ]);
    expect(counts.take(one, 1_000)).toEqual([0, 0]);
  });

  it('charge nothing after the first quota that a request is beyond', () => {
    const counts = new MemoryCounts();
    for (let at = 0; at < 10; at += 1) counts.take([charge('greedy', 1), charge('all', 2)], 0);
    expect(counts.take([charge('modest', 1), charge('all', 2)], 0)).toEqual([0, 0]);
    expect(counts.take([charge('third', 1), charge('all', 2)], 0)).toEqual([2, 1_000]);
  });

  it('hold no more subjects than they may', () => {
    const counts = new MemoryCounts(100);
    for (let at = 0; at < 10_000; at += 1) counts.take([charge(`subject-${at}`, 1)], 0);
    expect(counts.size).toBe(100);
    expect(counts.take([charge('subject-9999', 1)], 0)).toEqual([1, 1_000]);
  });
});
