import { describe, expect, it } from 'vitest';
import { checkAll } from './check-all.ts';
import { type Check, mostCounted, NotChecked } from './invariant.ts';

const probe = (name: string, find: Check['find'], isWindowed = false): Check => ({
  name,
  title: `${name} holds`,
  enforcedBy: 'nothing',
  isWindowed,
  find,
});
const nothing = async () => ({ rows: [], count: 0 });
const fails = (error: unknown) => async () => {
  throw error;
};
const never = () => new Promise<never>(() => {});
const options = { sinceOf: () => null, eachMs: 30, wholeMs: 30, allMs: 10_000, signal: new AbortController().signal };
const statesOf = async (checks: Check[], more: Partial<typeof options> = {}) =>
  (await checkAll(checks, { ...options, ...more })).map(({ name, state, reason }) => [name, state, reason]);

describe('a look at all probes', () => {
  it('says of each that it holds, or which rows break it', async () => {
    const rows = [{ id: 7 }];
    const [good, broken] = await checkAll([probe('A', nothing), probe('B', async () => ({ rows, count: 1 }))], options);
    expect(good).toMatchObject({ state: 'ok', count: 0, next: null });
    expect(broken).toMatchObject({ state: 'breached', count: 1, rows, next: 'look at the rows' });
  });

  it('says of many rows that there are more', async () => {
    const [result] = await checkAll([probe('A', async () => ({ rows: [], count: mostCounted + 1 }))], options);
    expect(result).toMatchObject({ count: mostCounted, count_is_minimum: true });
  });

  it.each([
    ['what it says itself', new NotChecked('too many jobs wait'), 'too many jobs wait'],
    [
      'a statement out of time',
      Object.assign(new Error('canceling statement'), { code: '57014' }),
      'no answer within 30 ms',
    ],
    [
      'Redis that is away',
      Object.assign(new Error('x'), { name: 'MaxRetriesPerRequestError' }),
      'Redis does not answer',
    ],
    [
      'an error, by its code and never by its text',
      Object.assign(new Error('ana@example.com'), { code: '42P01' }),
      'it failed (42P01)',
    ],
  ])('never takes for OK: %s', async (_, error, reason) => {
    expect(await statesOf([probe('A', fails(error)), probe('B', nothing)])).toEqual([
      ['A', 'not_checked', reason],
      ['B', 'ok', null],
    ]);
  });

  it('does not wait for what never answers', async () => {
    expect(await statesOf([probe('A', never)])).toEqual([['A', 'not_checked', 'no answer within 30 ms']]);
  }, 3_000);

  it('leaves out those whose turn does not come in time', async () => {
    expect(await statesOf([probe('A', nothing)], { allMs: 0 })).toEqual([['A', 'not_checked', 'no time was left']]);
  });

  it('narrows what can be narrowed', async () => {
    const since = new Date('2026-01-05T12:00:00Z');
    const results = await checkAll([probe('A', nothing, true), probe('B', nothing)], {
      ...options,
      sinceOf: () => since,
    });
    expect(results.map((result) => result.since)).toEqual([since.toISOString(), null]);
  });
});
