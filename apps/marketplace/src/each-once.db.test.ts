import { randomUUID } from 'node:crypto';
import { raw, sql, type Tx } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { staff } from './access.ts';
import { eachOnce } from './each-once.ts';
import { refuse } from './errors.ts';
import { openTestServer, signedInAs } from './testing/http.ts';
import { openTestWorld, type TestWorld } from './testing/world.ts';

let world: TestWorld;
let app: FastifyInstance;
let crashAt: string | undefined;
let faulty: string | undefined;

/** Notes that it was done; refuses what begins with `no`, and breaks off at one id. */
async function act(tx: Tx, id: string): Promise<void> {
  if (id.startsWith('no')) throw refuse('invalid_state');
  await tx.query(sql`insert into done values (${id})`);
  if (id === crashAt) await tx.query(sql`select pg_terminate_backend(pg_backend_pid())`);
  if (id === faulty) throw new Error('one that is broken');
}

beforeAll(async () => {
  world = await openTestWorld();
  await world.db.query(raw('create table done (id text)'));
  app = await openTestServer(world.log, {
    routes: (server) =>
      server.post<{ Body: { ids: string[] } }>(
        '/many',
        { config: { access: staff('lead.review'), idempotency: 'required' } },
        (request, reply) => eachOnce(world.db, request, reply, { ids: request.body.ids, act }, world),
      ),
  });
});
afterAll(async () => {
  await app?.close();
  await world?.close();
});

const headers = signedInAs(randomUUID(), 'admin');
const ask = (ids: string[], key: string) =>
  app.inject({ method: 'POST', url: '/many', headers: { ...headers, 'idempotency-key': key }, payload: { ids } });
async function doneOf(ids: string[]): Promise<string[]> {
  const { rows } = await world.db.query<{ id: string }>(sql`select id from done where id = any(${ids}) order by id`);
  return rows.map(({ id }) => id);
}

it('goes on, when it is repeated, where a crash broke it off: what was done is done once', async () => {
  const ids = ['a1', 'no1', 'a2', 'a3'];
  crashAt = 'a2';
  expect((await ask(ids, 'key-of-a-crash')).statusCode).toBe(503);
  expect(await doneOf(ids)).toEqual(['a1']);
  crashAt = undefined;
  const second = await ask(ids, 'key-of-a-crash');
  expect(second.json().results).toEqual([
    { id: 'a1', ok: true },
    { id: 'no1', ok: false, code: 'invalid_state' },
    { id: 'a2', ok: true },
    { id: 'a3', ok: true },
  ]);
  const third = await ask(ids, 'key-of-a-crash');
  expect([third.json(), third.headers['idempotency-replayed']]).toEqual([second.json(), 'true']);
  expect(await doneOf(ids)).toEqual(['a1', 'a2', 'a3']);
});

it('goes on behind one that is at fault, which is answered and logged, and tried again when it is repeated', async () => {
  const ids = ['f1', 'f2', 'f3'];
  faulty = 'f2';
  const first = await ask(ids, 'key-of-a-fault');
  expect([first.statusCode, first.json().results]).toEqual([
    200,
    [
      { id: 'f1', ok: true },
      { id: 'f2', ok: false, code: 'internal' },
      { id: 'f3', ok: true },
    ],
  ]);
  expect(await doneOf(ids)).toEqual(['f1', 'f3']);
  expect(world.lines.find((line) => line.includes('one that is broken'))).toContain('"level":"error"');
  faulty = undefined;
  const again = await ask(ids, 'key-of-a-fault');
  expect(again.json().results).toEqual(ids.map((id) => ({ id, ok: true })));
  expect(again.headers['idempotency-replayed']).toBeUndefined();
  expect(await doneOf(ids)).toEqual(ids);
});

it('is done once by racers under one key', async () => {
  const ids = ['r1', 'r2', 'r3'];
  const ends = await Promise.all(Array.from({ length: 6 }, () => ask(ids, 'key-of-racers')));
  expect(new Set(ends.map(({ statusCode }) => statusCode))).toEqual(new Set([200]));
  expect(await doneOf(ids)).toEqual(ids);
});
