import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { cutPage, decodeCursor, encodeCursor, momentCursor, pageQuery } from './paging.ts';

describe('a page', () => {
  const shape = { item: (row: number) => row * 10, cursor: (row: number) => [row] };

  it('names the next one when a row more than asked for was read', () => {
    const page = cutPage([1, 2, 3], 2, shape);
    expect(page.items).toEqual([10, 20]);
    expect(decodeCursor(page.pagination.next_cursor ?? '')).toEqual([2]);
  });

  it('is the last when no row is left over', () => {
    expect(cutPage([1, 2], 2, shape).pagination).toEqual({ limit: 2, next_cursor: null });
    expect(cutPage([], 2, shape)).toEqual({ items: [], pagination: { limit: 2, next_cursor: null } });
  });

  it('holds 1 to 200 rows, 50 unless told', () => {
    expect(pageQuery.parse({})).toEqual({ limit: 50 });
    expect(pageQuery.parse({ limit: '200' })).toEqual({ limit: 200 });
    for (const limit of ['0', '201', '1.5', 'many']) expect(pageQuery.safeParse({ limit }).success).toBe(false);
    expect(pageQuery.safeParse({ page: '1' }).success).toBe(false);
  });
});

describe('a cursor', () => {
  it('carries its values there and back', () => {
    const values = ['2026-01-02 03:04:05.678901+00', 7, null];
    expect(decodeCursor(encodeCursor(values))).toEqual(values);
  });

  it.each(['', 'nonsense', encodeCursor(['\u0000']), Buffer.from('{"a":1}').toString('base64url')])(
    'is refused when it is not one of ours: %j',
    (text) => expect(() => decodeCursor(text)).toThrow('validation_failed'),
  );

  it('is refused when it is of another list', () => {
    expect(() => decodeCursor(encodeCursor([5]), momentCursor)).toThrow('validation_failed');
    expect(() => decodeCursor(encodeCursor(['soon']), z.tuple([z.number()]))).toThrow('validation_failed');
  });
});
