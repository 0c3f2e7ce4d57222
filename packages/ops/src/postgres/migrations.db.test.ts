import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../testing/index.ts';
import { type Database, openDatabase, openMigrator, sql } from './index.ts';

let database: TestDatabase;
let db: Database;
let directory: string;

beforeEach(async () => {
  database = await createTestDatabase({ adminUrl: inject('databaseUrl') });
  db = openDatabase({ url: database.url });
  directory = await mkdtemp(join(tmpdir(), 'migrations-'));
  await write('0001_fruit.sql', 'create table fruit (n int);', 'drop table fruit;');
  await write('0002_apple.sql', 'insert into fruit values (1);', 'delete from fruit;');
});
afterEach(async () => {
  await db.close();
  await database.drop();
});

const write = (name: string, up: string, down: string, flags = '') =>
  writeFile(join(directory, name), `-- migrate:up${flags}\n${up}\n-- migrate:down\n${down}\n`);
const migrator = () => openMigrator({ url: database.url, sets: [{ name: 'test', directory }] });
const fruit = async () => (await db.query<{ n: number }>(sql`select n from fruit`)).rows.map(({ n }) => n);

describe('migrations', () => {
  it('go up in order, once, and say when each was applied', async () => {
    expect((await migrator().up()).map(({ name }) => name)).toEqual(['0001_fruit.sql', '0002_apple.sql']);
    expect(await migrator().up()).toEqual([]);
    expect(await fruit()).toEqual([1]);
    expect((await migrator().status()).every(({ appliedAt }) => appliedAt instanceof Date)).toBe(true);
  });

  it('go down to nothing and up again', async () => {
    await migrator().up();
    expect((await migrator().down()).map(({ name }) => name)).toEqual(['0002_apple.sql', '0001_fruit.sql']);
    const { rows } = await db.query(sql`select nspname from pg_namespace where nspname = 'ops'`);
    expect(rows).toEqual([]);
    await migrator().up();
    expect(await fruit()).toEqual([1]);
  });

  it('go down one step at a time', async () => {
    await migrator().up();
    await migrator().down(1);
    expect(await fruit()).toEqual([]);
    expect((await migrator().status()).map(({ appliedAt }) => appliedAt !== undefined)).toEqual([true, false]);
  });

  it('are applied once by eight starters at the same time', async () => {
    const states = await Promise.all(Array.from({ length: 8 }, () => migrator().up()));
    expect(states.flat()).toHaveLength(2);
    expect(await fruit()).toEqual([1]);
  });

  it('leave nothing of a file that fails, and keep what came before it', async () => {
    await write('0003_worm.sql', 'insert into fruit values (3); select 1 / 0;', 'select 1;');
    await expect(migrator().up()).rejects.toThrow('0003_worm.sql: division by zero');
    expect(await fruit()).toEqual([1]);
  });

  it('run outside of a transaction where a file asks for it', async () => {
    await write(
      '0003_index.sql',
      'create index concurrently fruit_n on fruit (n);',
      'drop index fruit_n;',
      ' no-transaction',
    );
    await migrator().up();
    const { rows } = await db.query(sql`select to_regclass('fruit_n') is not null as there`);
    expect(rows).toEqual([{ there: true }]);
  });

  it('are refused when a file changed after it was applied', async () => {
    await migrator().up();
    await write('0002_apple.sql', 'insert into fruit values (2);', 'delete from fruit;');
    await expect(migrator().up()).rejects.toThrow('0002_apple.sql was changed after it was applied');
    await expect(migrator().down()).rejects.toThrow('was changed');
    expect(await fruit()).toEqual([1]);
  });

  it.each([
    ['without its two parts', '0003_half.sql', 'select 1;'],
    ['without a number', 'fruit.sql', '-- migrate:up\nselect 1;\n-- migrate:down\n'],
  ])('are refused when a file is %s', async (_what, name, text) => {
    await writeFile(join(directory, name), text);
    await expect(migrator().up()).rejects.toThrow(name);
  });
});
