import { opsTables, raw, sql } from '@fmhl/ops';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { marketplaceTables, retainTables } from './retention.ts';
import { openTestWorld, type TestWorld } from './testing/world.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await openTestWorld();
});
afterAll(() => world.close());

it('says of every table how long its rows stay', async () => {
  const { rows } = await world.db.query<{ name: string }>(sql`
    select format('%s.%s', table_schema, table_name) as name from information_schema.tables
    where table_schema in ('ops', 'identity', 'public') and table_type = 'BASE TABLE' order by 1`);
  const said = [...opsTables, ...marketplaceTables].map(({ table }) => table);
  expect(said.toSorted()).toEqual(rows.map(({ name }) => name));
});

it('never lets money, consents or the audit log go', () => {
  const kept = ['ops.audit_log', 'public.lead_consent', 'public.ledger_entry', 'public.payment', 'public.account'];
  const tables = [...opsTables, ...marketplaceTables];
  expect(kept.map((name) => tables.find(({ table }) => table === name)?.days)).toEqual(kept.map(() => null));
});

it('removes exports 90 days after they were asked for, once their file is gone', async () => {
  const { db } = world;
  const user = await world.make.user();
  await db.query(sql`
    insert into export_job (id, requested_by, type, filters, status, error, storage_key, correlation_id, created_at)
    select gen_random_uuid(), ${user.id}, 'leads', '{"from": 1, "to": 2}', status,
           case status when 'failed' then 'no_space' end, file, 'none', now() - days * interval '1 day'
    from (values (91, 'failed', null), (91, 'cancelled', null), (91, 'expired', 'a-file'), (91, 'processing', null),
                 (89, 'failed', null)) as e(days, status, file)`);
  const { signal } = new AbortController();
  expect(await retainTables(db, { now: new Date(), signal })).toMatchObject({ export_job: 2 });
  const { rows } = await db.query(raw(`select status from export_job order by created_at, status`));
  expect(rows.map(({ status }) => status)).toEqual(['expired', 'processing', 'failed']);
});
