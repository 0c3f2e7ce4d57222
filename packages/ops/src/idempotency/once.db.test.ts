import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { sql, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import { openTestPlane, type TestPlane } from '../testing/index.ts';
import { once } from './once.ts';

let plane: TestPlane;
let key: string;

beforeAll(async () => {
  plane = await openTestPlane({ adminUrl: inject('databaseUrl'), redisUrl: inject('redisUrl'), queues: [] });
  await plane.db.query(sql`create table act (key text)`);
});
afterAll(() => plane.close());
beforeEach(() => {
  key = randomUUID();
});

const scope = (request: unknown = { amount: 5 }, actor = 'ana') => ({ actor, route: 'POST /credits', key, request });
const act = async (tx: Tx) => {
  await tx.query(sql`insert into act values (${key})`);
  return { status: 201, body: { id: randomUUID() } };
};
const acts = async () => (await plane.db.query(sql`select 1 from act where key = ${key}`)).rows.length;

describe('work under an idempotency key', () => {
  it('is done once; a repeat gets the same answer and says so', async () => {
    const first = await once(plane.db, scope(), act);
    const second = await once(plane.db, scope(), act);
    expect(first).toMatchObject({ status: 201, replayed: false });
    expect(second).toEqual({ ...first, replayed: true });
    expect(await acts()).toBe(1);
  });

  it('is done once by twenty racers, and all get the same answer', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => once(plane.db, scope(), act)));
    expect(await acts()).toBe(1);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  });

  it('is refused for another body, and is the same for a body in another order', async () => {
    await once(plane.db, scope({ a: 1, b: 2 }), act);
    await expect(once(plane.db, scope({ a: 1, b: 3 }), act)).rejects.toMatchObject({ code: 'idempotency_key_reused' });
    expect((await once(plane.db, scope({ b: 2, a: 1 }), act)).replayed).toBe(true);
    expect(await acts()).toBe(1);
  });

  it('can be tried again after a failure: a refused act leaves no key', async () => {
    const refused = once(plane.db, scope(), async (tx) => {
      await act(tx);
      throw refuse('not_found');
    });
    await expect(refused).rejects.toMatchObject({ code: 'not_found' });
    expect((await once(plane.db, scope(), act)).replayed).toBe(false);
    expect(await acts()).toBe(1);
  });

  it('belongs to its actor: another one with the same key acts for themself', async () => {
    await once(plane.db, scope(), act);
    expect((await once(plane.db, scope({ amount: 5 }, 'bob'), act)).replayed).toBe(false);
    expect(await acts()).toBe(2);
  });

  it('waits no longer for a lock than work without a key', async () => {
    const longestWait = async (tx: Tx) => {
      const { rows } = await tx.query<{ lock_timeout: string }>(sql`show lock_timeout`);
      return { status: 200, body: rows[0]?.lock_timeout };
    };
    const plain = await once(plane.db, { ...scope(), key: undefined }, longestWait);
    const keyed = await once(plane.db, scope(), longestWait);
    expect([plain.body, keyed.body]).toEqual(['10s', '10s']);
    key = randomUUID();
    expect((await once(plane.db, scope(), longestWait, { lockTimeoutMs: 250 })).body).toBe('250ms');
  });

  it('runs each time without a key', async () => {
    await once(plane.db, { ...scope(), key: undefined }, act);
    await once(plane.db, { ...scope(), key: undefined }, act);
    expect(await acts()).toBe(2);
  });
});
