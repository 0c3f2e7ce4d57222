import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/index.ts';
import { type Database, databaseFailure, openDatabase, prepared, sql, type Tx } from './index.ts';

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await createTestDatabase({ adminUrl: inject('databaseUrl') });
  db = openDatabase({ url: database.url, poolSize: 4 });
  await db.query(sql`create table account (id int primary key, cents bigint)`);
});
afterAll(async () => {
  await db.close();
  await database.drop();
});
beforeEach(async () => {
  await db.query(sql`truncate account`);
  await db.query(sql`insert into account values (1, 100), (2, 200)`);
});

const cents = async (id: number) =>
  (await db.query<{ cents: number }>(sql`select cents from account where id = ${id}`)).rows[0]?.cents;

describe('a transaction', () => {
  it('commits what it returns from, and then runs what waits for the commit', async () => {
    const told: string[] = [];
    const stop = db.onWake('jobs', () => told.push('woken'));
    const answer = await db.transaction(async (tx) => {
      tx.afterCommit(() => told.push('counted'));
      tx.wake('jobs');
      await tx.query(sql`update account set cents = 1 where id = 1`);
      expect(told).toEqual([]);
      return 'answer';
    });
    stop();
    expect(answer).toBe('answer');
    expect(told).toEqual(['counted', 'woken']);
    expect(await cents(1)).toBe(1);
  });

  it('leaves nothing when it throws: no row, no count, no hint', async () => {
    const told: string[] = [];
    const failing = db.transaction(async (tx) => {
      tx.afterCommit(() => told.push('counted'));
      await tx.query(sql`update account set cents = 1 where id = 1`);
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(told).toEqual([]);
    expect(await cents(1)).toBe(100);
  });

  it('is an error, not a silent rollback, when a failed statement inside was swallowed', async () => {
    const told: string[] = [];
    const swallowing = db.transaction(async (tx) => {
      tx.afterCommit(() => told.push('counted'));
      await tx.query(sql`update account set cents = 1 where id = 1`);
      await tx.query(sql`select 1 / 0`).catch(() => {});
    });
    await expect(swallowing).rejects.toThrow('rolled back');
    expect(told).toEqual([]);
    expect(await cents(1)).toBe(100);
  });

  it('commits what nobody waited for, in the order it was sent', async () => {
    await db.transaction(async (tx) => {
      tx.send(sql`update account set cents = 7 where id = 1`);
      tx.send(sql`update account set cents = cents * 2 where id = 1`);
      const { rows } = await tx.query<{ cents: number }>(sql`select cents from account where id = 1`);
      expect(rows).toEqual([{ cents: 14 }]);
      tx.send(sql`update account set cents = cents + 1 where id = 1`);
    });
    expect(await cents(1)).toBe(15);
  });

  it.each([
    ['nothing came after it', async () => {}],
    ['what came after it was refused', async (tx: Tx) => void (await tx.query(sql`update account set cents = 1`))],
    ['that was swallowed', async (tx: Tx) => void (await tx.query(sql`update account set cents = 1`).catch(() => {}))],
  ])('fails with the error of a statement that nobody waited for, where %s', async (_where, after) => {
    const failing = db.transaction(async (tx) => {
      await tx.query(sql`update account set cents = 9 where id = 2`);
      tx.send(sql`insert into account (id, cents) values (1, 0)`);
      await after(tx);
    });
    await expect(failing).rejects.toMatchObject({ code: '23505' });
    expect([await cents(1), await cents(2)]).toEqual([100, 200]);
  });

  it('fails with a statement that nobody waited for also where a savepoint forgave it, or it never left this process', async () => {
    const forgiven = db.transaction(async (tx) => {
      await tx.query(sql`update account set cents = 9 where id = 2`);
      await tx.query(sql`savepoint before`);
      tx.send(sql`insert into account (id, cents) values (1, 0)`);
      await tx.query(sql`rollback to savepoint before`);
    });
    await expect(forgiven).rejects.toMatchObject({ code: '23505' });
    const circular: { self?: unknown } = {};
    circular.self = circular;
    const unsent = db.transaction(async (tx) => {
      await tx.query(sql`update account set cents = 9 where id = 2`);
      tx.send(sql`update account set cents = ${circular}`);
    });
    await expect(unsent).rejects.toThrow('circular');
    expect([await cents(1), await cents(2)]).toEqual([100, 200]);
  });

  it('takes no statement after its end', async () => {
    let kept: Tx | undefined;
    await db.transaction(async (tx) => void (kept = tx));
    expect(() => kept?.send(sql`update account set cents = 1`)).toThrow('has ended');
    await expect(kept?.query(sql`update account set cents = 1`)).rejects.toThrow('has ended');
    expect(await cents(1)).toBe(100);
  });

  it('throws what its callback threw, also where a statement that nobody waited for failed', async () => {
    const failing = db.transaction(async (tx) => {
      tx.send(sql`insert into account (id, cents) values (1, 0)`);
      throw new Error('the business changed its mind');
    });
    await expect(failing).rejects.toThrow('changed its mind');
  });

  it('runs nothing where its settings are refused', async () => {
    const refused = db.transaction((tx) => tx.query(sql`update account set cents = 1`), { lockTimeoutMs: -5 });
    await expect(refused).rejects.toThrow('lock_timeout');
    expect(await cents(1)).toBe(100);
  });

  it('gives its connection back, also after a failure', async () => {
    for (let at = 0; at < 10; at += 1)
      await db
        .transaction(async () => {
          throw new Error('no');
        })
        .catch(() => {});
    expect(db.connections.waiting).toBe(0);
    expect(await cents(2)).toBe(200);
  });

  it('waits no longer for a lock than it says', async () => {
    await db.transaction(async (tx) => {
      await tx.query(sql`update account set cents = 1 where id = 1`);
      const other = db.transaction((second) => second.query(sql`update account set cents = 2 where id = 1`), {
        lockTimeoutMs: 50,
      });
      const error: unknown = await other.catch((thrown: unknown) => thrown);
      expect(databaseFailure(error)).toBe('conflict');
    });
  });

  it('says whether a lost connection left a commit in doubt', async () => {
    const lost = db.transaction(async (tx) => {
      await tx.query(sql`update account set cents = 1 where id = 1`);
      const { rows } = await tx.query<{ pid: number }>(sql`select pg_backend_pid() as pid`);
      await db.query(sql`select pg_terminate_backend(${rows[0]?.pid})`);
    });
    const error: unknown = await lost.catch((thrown: unknown) => thrown);
    expect(['ambiguous', 'infrastructure']).toContain(databaseFailure(error));
    expect(await cents(1)).toBe(100);
    expect(await cents(2)).toBe(200);
  });
});

describe('values', () => {
  it('reads bigint and numeric as numbers, and refuses what would be rounded', async () => {
    const { rows } = await db.query(sql`select 9007199254740991::bigint as big, sum(cents) as total from account`);
    expect(rows).toEqual([{ big: 9_007_199_254_740_991, total: 300 }]);
    await expect(db.query(sql`select 9007199254740993::bigint`)).rejects.toThrow('not a safe integer');
  });

  it('gives each text of a prepared statement a name of its own', () => {
    expect(prepared('a', sql`select ${1}`)).toMatchObject({ name: expect.stringMatching(/^a:/), values: [1] });
    const names = [sql`select ${1}`, sql`select ${2}`, sql`select ${1}, ${2}`].map(
      (one) => (prepared('a', one) as { name: string }).name,
    );
    expect(names[0]).toBe(names[1]);
    expect(names[0]).not.toBe(names[2]);
  });
});
