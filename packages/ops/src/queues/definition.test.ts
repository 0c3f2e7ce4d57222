import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createRegistry, defineQueue } from './index.ts';

const kinds = { task: { schema: z.unknown(), sideEffect: 'idempotent' as const } };
const valid = { name: 'mail', aliases: ['post'], attempts: 3, backoffMs: [1], kinds };

describe('a queue', () => {
  it.each([
    [{ name: 'Mail' }, /lower-case/],
    [{ name: 'dlq' }, /may not be called "dlq"/],
    [{ attempts: 0 }, /from 1 to 100/],
    [{ backoffMs: [] }, /at least one wait/],
    [{ kinds: {} }, /at least one kind/],
  ])('is refused with %j', (fault, message) => {
    expect(() => defineQueue({ ...valid, ...fault })).toThrow(message);
  });

  it('is known by its name and by its aliases', () => {
    const registry = createRegistry([defineQueue(valid)]);
    expect([registry.resolve('mail'), registry.resolve('post'), registry.resolve('parcel')]).toEqual([
      'mail',
      'mail',
      undefined,
    ]);
  });

  it('may not take a name or an alias of another', () => {
    expect(() => createRegistry([defineQueue(valid), defineQueue({ ...valid, name: 'post', aliases: [] })])).toThrow(
      '"post"',
    );
  });
});
