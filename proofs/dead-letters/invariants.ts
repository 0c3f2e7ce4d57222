import { findBreaches, type Invariant, jobInvariants, letterInvariants } from '../../packages/ops/src/doctor/index.ts';
import { type Database, type Queryable, sql } from '../../packages/ops/src/postgres/index.ts';
import type { Redis } from './ground.ts';
import { prefix, queues } from './jobs.ts';

/** Of this host: each piece of work that is done had its effect once. */
const effects: Pick<Invariant, 'name' | 'sql'> = {
  name: 'J4 effects',
  sql: `
    select coalesce(e.root, d.root_key) as id
    from (select root, count(*) as times from effect group by root) e
    full join (select root_key, count(*) as times from ops.job_run where state = 'done' group by root_key) d on d.root_key = e.root
    where e.times is distinct from 1 or d.times is distinct from 1`,
};

/** The product's own proof asks Redis too; here Postgres alone is believed, and the letters are counted one by one. */
const counted: Pick<Invariant, 'name' | 'sql'> = {
  name: 'failed = captured = closed + open',
  sql: `
    with counted as (
      select queue_name as queue, sum(captured) as captured, sum(open) as open, sum(resolved) as resolved, sum(discarded) as discarded
      from (select queue_name, captured, open, resolved, discarded from ops.dead_letter_stock
            union all select queue_name, captured, open, resolved, discarded from ops.dead_letter_change) s group by 1),
    failed as (select queue, sum(deaths) as failed from ops.job_death group by 1),
    letters as (
      select queue_name as queue, count(*) as letters, count(*) filter (where not resolved) as open
      from ops.dead_letter_queue where not synthetic group by 1)
    select queue, failed, captured, letters
    from failed full join counted using (queue) full join letters using (queue)
    where failed is distinct from captured or captured is distinct from letters or counted.open is distinct from letters.open
      or captured is distinct from resolved + discarded + counted.open`,
};

/** Those that Postgres alone can answer: the product's own, and two of this host. They hold at every moment, also in the middle of a fault. */
export const lasting = [...jobInvariants, ...letterInvariants, effects, counted];

/** Each in a snapshot of its own. */
export async function brokenNow(db: Queryable): Promise<string[]> {
  const broken: string[] = [];
  for (const invariant of lasting) {
    const { rows } = await findBreaches(db, invariant);
    broken.push(...rows.map((row) => `${invariant.name} ${JSON.stringify(row)}`));
  }
  return broken;
}

/** Those that need Redis too. They hold once the system has come to rest. */
export async function brokenAtRest(db: Database, redis: Redis): Promise<string[]> {
  const broken: string[] = [];
  for (const { name } of queues) {
    const places = await placesOf(redis, name);
    broken.push(...places.failed.map((id) => `D2 ${name} ${id}`));
    broken.push(...(await astray(db, name, places)).map((id) => `J1 ${name} ${id}`));
    broken.push(...(await unknownJobs(db, redis, name)).map((id) => `J5 ${name} ${id}`));
  }
  return broken;
}

type Places = Record<'wait' | 'active' | 'delayed' | 'prioritized' | 'failed', string[]>;

async function placesOf(redis: Redis, queue: string): Promise<Places> {
  const list = (name: string) => redis.lrange(`${prefix}:${queue}:${name}`, 0, -1);
  const set = (name: string) => redis.zrange(`${prefix}:${queue}:${name}`, '0', '-1');
  const [wait, active, delayed, prioritized, failed] = await Promise.all([
    list('wait'),
    list('active'),
    set('delayed'),
    set('prioritized'),
    set('failed'),
  ]);
  return { wait, active, delayed, prioritized, failed };
}

/** Open runs that were handed over and are not in exactly one place. */
async function astray(db: Database, queue: string, { wait, active, delayed, prioritized }: Places): Promise<string[]> {
  const { rows } = await db.query<{ run_key: string }>(
    sql`select run_key from ops.job_outbox where queue = ${queue} and dispatched_at is not null`,
  );
  const held = [...wait, ...active, ...delayed, ...prioritized];
  return rows.flatMap(({ run_key }) => (held.filter((id) => id === run_key).length === 1 ? [] : [run_key]));
}

/** Jobs of ours in Redis whose run Postgres does not know. */
async function unknownJobs(db: Database, redis: Redis, queue: string): Promise<string[]> {
  const keys = await redis.keys(`${prefix}:${queue}:*`);
  const runs: string[] = [];
  for (const key of keys) {
    if ((await redis.type(key)) !== 'hash') continue;
    const run = /"run":"([^"]+)"/.exec((await redis.hget(key, 'data')) ?? '')?.[1];
    if (run !== undefined) runs.push(run);
  }
  const { rows } = await db.query<{ id: string }>(sql`
    select id from unnest(${runs}::text[]) as j(id) where not exists (select from ops.job_run r where r.run_key = j.id)`);
  return rows.map(({ id }) => id);
}
