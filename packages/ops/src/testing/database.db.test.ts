import pg from 'pg';
import { describe, expect, inject, it } from 'vitest';
import { createTestDatabase, pollUntil, templateDatabase, testPrefix } from './index.ts';

const adminUrl = inject('databaseUrl');

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows;
}

async function prepareNumbers(url: string): Promise<void> {
  await ask(url, 'CREATE TABLE number AS SELECT generate_series(1, 3) AS n; SELECT 1');
}

describe('a template database', () => {
  it('is prepared once for several callers at the same time', async () => {
    let prepared = 0;
    const prepare = async (url: string) => {
      prepared += 1;
      await prepareNumbers(url);
    };
    const name = 'template_once';
    const names = await Promise.all([1, 2, 3].map(() => templateDatabase({ adminUrl, name, prepare })));
    expect(names).toEqual([name, name, name]);
    expect(prepared).toBe(1);
  });

  it('is made anew when its preparation failed half way', async () => {
    const name = 'template_failed';
    const fail = async (url: string) => {
      await ask(url, 'CREATE TABLE half (n int)');
      throw new Error('migration failed');
    };
    await expect(templateDatabase({ adminUrl, name, prepare: fail })).rejects.toThrow('migration failed');
    await templateDatabase({ adminUrl, name, prepare: prepareNumbers });
    const { url, drop } = await createTestDatabase({ adminUrl, template: name });
    expect(await ask(url, "SELECT to_regclass('half') AS half, (SELECT count(*)::int FROM number) AS numbers")).toEqual(
      [{ half: null, numbers: 3 }],
    );
    await drop();
  });
});

describe('a test database', () => {
  it('is a copy of its own: several at a time, and a write in one is not seen in another', async () => {
    const template = await templateDatabase({ adminUrl, name: 'template_copies', prepare: prepareNumbers });
    const databases = await Promise.all([1, 2, 3, 4].map(() => createTestDatabase({ adminUrl, template })));
    const [first, second] = databases.map(({ url }) => url);
    await ask(first ?? '', 'DELETE FROM number');
    expect(await ask(second ?? '', 'SELECT count(*)::int AS count FROM number')).toEqual([{ count: 3 }]);
    await Promise.all(databases.map(({ drop }) => drop()));
    await expect(ask(first ?? '', 'SELECT 1')).rejects.toThrow('does not exist');
    await databases[0]?.drop();
  });
});

describe('polling', () => {
  it('gives the first true value', async () => {
    let looks = 0;
    expect(await pollUntil(() => ++looks >= 3 && 'third', { everyMs: 1 })).toBe('third');
  });

  it('says what the last look gave when the time is over', async () => {
    await expect(pollUntil(() => 0, { deadlineMs: 10, everyMs: 1 })).rejects.toThrow('the last look gave 0');
    const failing = () => Promise.reject(new Error('refused'));
    await expect(pollUntil(failing, { deadlineMs: 10, everyMs: 1 })).rejects.toThrow('failed: refused');
  });
});

it('makes a key prefix that stays on one cluster node', () => {
  expect(testPrefix()).toMatch(/^\{t-[0-9a-f]{8}\}$/);
  expect(testPrefix()).not.toBe(testPrefix());
});
