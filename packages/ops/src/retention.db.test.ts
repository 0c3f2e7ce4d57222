import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { raw, sql } from './postgres/index.ts';
import { opsTables, retainRows } from './retention.ts';
import { openTestPlane, type TestPlane } from './testing/index.ts';

let plane: TestPlane;
beforeAll(async () => {
  plane = await openTestPlane({ adminUrl: inject('databaseUrl'), redisUrl: inject('redisUrl'), queues: [] });
});
afterAll(() => plane.close());

it('says of every table of the plane how long its rows stay', async () => {
  const { rows } = await plane.db.query<{ name: string }>(sql`
    select format('%s.%s', table_schema, table_name) as name from information_schema.tables
    where table_schema = 'ops' and table_type = 'BASE TABLE' order by 1`);
  expect(opsTables.map(({ table }) => table).toSorted()).toEqual(rows.map(({ name }) => name));
});

it('removes what is over, and keeps what is not', async () => {
  const { db } = plane;
  const execute = (text: string) => db.query(raw(text));
  await execute(`
    insert into ops.job_run (run_key, root_key, queue, kind, max_attempts, correlation_id, state, enqueued_at, finished_at)
    select 'run-' || days, 'run-' || days, 'work', 'task', 1, 'none', 'done',
           now() - days * interval '1 day', now() - days * interval '1 day' from unnest(array[1, 31]) days`);
  await execute(`
    insert into ops.idempotency_key (actor, route, key, request_sha256, status, correlation_id, created_at)
    select 'ana', 'POST /', 'key-0000' || days, '', 200, 'none', now() - days * interval '1 day' from unnest(array[1, 8]) days`);
  await execute(`
    insert into ops.worker (id, host, pid, version, queues, last_seen_at)
    select gen_random_uuid(), 'here', 1, '1', '{}', now() - days * interval '1 day' from unnest(array[1, 8]) days`);
  await execute(`
    insert into ops.schedule (name, cron, time_zone, catch_up, overlap, enabled, last_tick, ruled_since, created_at)
    values ('tidy', '* * * * *', 'UTC', 'last', false, true, now(), now(), now())`);
  await execute(`
    insert into ops.schedule_run (schedule, fire_at, origin, state, reason, late_after, miss_after, limit_ms)
    select 'tidy', now() - days * interval '1 day', 'schedule', 'missed', 'outage', now(), now(), 1
    from unnest(array[1, 91]) days`);
  await execute(`
    insert into ops.lease_term (name, term, holder, acquired_at)
    select 'one', term, gen_random_uuid(), now() - interval '100 days' + term * interval '1 day' from generate_series(1, 3) term`);
  expect(await retainRows(db, new AbortController().signal)).toEqual({
    job_run: 1,
    idempotency_key: 1,
    worker: 1,
    schedule_run: 1,
    lease_term: 2,
  });
  expect(Object.values(await retainRows(db, new AbortController().signal)).every((rows) => rows === 0)).toBe(true);
});
