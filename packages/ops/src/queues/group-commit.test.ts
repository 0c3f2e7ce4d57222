import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RedisTimeout } from '../redis/index.ts';
import { ofDatabase } from '../postgres/index.ts';
import { groupCommit } from './group-commit.ts';

type Entry = { key: string; n: number };
const rowsOf = (entries: readonly Entry[]) => new Map(entries.map(({ key, n }) => [key, n]));
const keyOf = ({ key }: Entry) => key;
const open = (write: (entries: readonly Entry[]) => Promise<Map<string, number>>) =>
  groupCommit<Entry, number>({ keyOf, write });

describe('group commit', () => {
  it('answers each entry with its own row', async () => {
    const commit = open(async (entries) => rowsOf(entries));
    const answers = await Promise.all(Array.from({ length: 500 }, (_, n) => commit.add({ key: `k-${n}`, n })));
    expect(answers).toEqual(Array.from({ length: 500 }, (_, n) => n));
  });

  it('sends a lonely entry at once, and shares a commit among many', async () => {
    const sizes: number[] = [];
    const commit = open(async (entries) => {
      sizes.push(entries.length);
      return rowsOf(entries);
    });
    await commit.add({ key: 'alone', n: 0 });
    await Promise.all(Array.from({ length: 600 }, (_, n) => commit.add({ key: `k-${n}`, n })));
    expect(sizes[0]).toBe(1);
    expect(sizes.length).toBeLessThan(8);
    expect(Math.max(...sizes)).toBe(256);
  });

  it('gathers what comes within the time it is told, and lets one after a pause wait for nobody', async () => {
    const sizes: number[] = [];
    const write = async (entries: readonly Entry[]) => {
      sizes.push(entries.length);
      return rowsOf(entries);
    };
    const commit = groupCommit<Entry, number>({ keyOf, write, everyMs: 200 });
    const startedAt = performance.now();
    await commit.add({ key: 'first', n: 0 });
    expect(performance.now() - startedAt).toBeLessThan(150);
    const rest = [];
    for (let n = 1; n <= 5; n += 1) {
      rest.push(commit.add({ key: `k-${n}`, n }));
      await new Promise(setImmediate);
    }
    expect(sizes).toEqual([1]);
    expect(await Promise.all(rest)).toEqual([1, 2, 3, 4, 5]);
    expect(sizes).toEqual([1, 5]);
  });

  it('writes at once what gathers when it is flushed', async () => {
    const commit = groupCommit<Entry, number>({ keyOf, write: async (entries) => rowsOf(entries), everyMs: 600_000 });
    await commit.add({ key: 'first', n: 0 });
    const second = commit.add({ key: 'second', n: 1 });
    await commit.flush();
    expect(await second).toBe(1);
  });

  it('never puts two entries of one key into one statement', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 60 }), async (keys) => {
        const commit = open(async (entries) => {
          expect(new Set(entries.map(({ key }) => key)).size).toBe(entries.length);
          return rowsOf(entries);
        });
        const answers = await Promise.all(keys.map((key, n) => commit.add({ key: `k-${key}`, n })));
        expect(answers).toEqual(keys.map((_key, n) => n));
      }),
    );
  });

  it('repeats a failed batch entry by entry, so that one bad entry fails alone', async () => {
    const commit = open(async (entries) => {
      if (entries.some(({ n }) => n === 7)) throw new Error('bad entry');
      return rowsOf(entries);
    });
    const answers = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => commit.add({ key: `k-${n}`, n })));
    expect(answers.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    expect(answers[7]?.status).toBe('rejected');
  });

  it.each([
    ['Postgres is away', ofDatabase(Object.assign(new Error('terminating connection'), { code: '57P01' }))],
    ['Redis does not answer', new RedisTimeout('no answer')],
  ])('does not repeat a batch when %s', async (_when, error) => {
    let written = 0;
    const commit = open(async () => {
      written += 1;
      throw error;
    });
    const answers = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => commit.add({ key: `k-${n}`, n })));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 'rejected'));
    expect(written).toBe(1);
  });

  it('flushes what was given', async () => {
    let written = 0;
    const commit = open(async (entries) => {
      await new Promise((resolve) => setImmediate(resolve));
      written += entries.length;
      return rowsOf(entries);
    });
    for (let n = 0; n < 100; n += 1) void commit.add({ key: `k-${n}`, n });
    await commit.flush();
    expect(written).toBe(100);
  });
});
