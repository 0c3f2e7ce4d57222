import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { openTestPlane, pollUntil, type TestPlane } from '../testing/index.ts';
import { openLease } from './index.ts';

let plane: TestPlane;
beforeAll(async () => {
  plane = await openTestPlane({ adminUrl: inject('databaseUrl'), redisUrl: inject('redisUrl'), queues: [] });
});
afterAll(() => plane.close());

const lease = (name: string, ttlMs = 15_000) => openLease(plane.db, { name, holder: randomUUID(), ttlMs });
const term = async (name: string) =>
  (await plane.db.query<{ term: number }>(sql`select term from ops.lease where name = ${name}`)).rows[0]?.term;

describe('a lease', () => {
  it('has one holder among many who ask at once', async () => {
    const held = await Promise.all(Array.from({ length: 16 }, () => lease('one').hold()));
    expect(held.filter(Boolean)).toHaveLength(1);
  });

  it('stays with its holder, under the same term', async () => {
    const mine = lease('stays');
    expect([await mine.hold(), await mine.hold()]).toEqual([true, true]);
    expect(await term('stays')).toBe(1);
    expect(await lease('stays').hold()).toBe(false);
  });

  it('goes to another at once when it is resigned, with the next term', async () => {
    const mine = lease('resigned');
    await mine.hold();
    await mine.resign();
    expect(await lease('resigned').hold()).toBe(true);
    expect(await term('resigned')).toBe(2);
  });

  it('goes to another when its time is over, and the old holder notices', async () => {
    const silent = lease('expires', 150);
    await silent.hold();
    const next = lease('expires');
    await pollUntil(() => next.hold());
    expect(await silent.hold()).toBe(false);
    await silent.resign();
    expect(await next.hold()).toBe(true);
  });
});
