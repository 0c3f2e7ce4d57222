import { type Database, type Queryable, type Sql, sql } from '../../packages/ops/src/postgres/index.ts';
import type { Redis } from './ground.ts';
import { prefix, queues } from './jobs.ts';

/** Ids of what breaks an invariant; none are expected. */
type Rows = Sql;

/** Those that Postgres alone can answer. They hold at every moment, also in the middle of a fault. */
export const lasting: Readonly<Record<string, Rows>> = {
  J2: sql`
    select coalesce(r.run_key, o.run_key) as id
    from (select * from ops.job_run where state = 'enqueued') r full join ops.job_outbox o using (run_key)
    where r.run_key is null or o.run_key is null`,
  J3: sql`
    select run_key as id from ops.job_run
    where run_key::text ~ ':' or run_key::text ~ '^[0-9]+$' or coalesce(root_key, '') = ''`,
  J4: sql`
    select coalesce(e.root, d.root_key) as id
    from (select root, count(*) as times from effect group by root) e
    full join (select root_key, count(*) as times from ops.job_run where state = 'done' group by root_key) d on d.root_key = e.root
    where e.times is distinct from 1 or d.times is distinct from 1`,
  J6: sql`
    select run_key as id from ops.job_run where state = 'enqueued' and not started - finished between 0 and 3`,
  D1: sql`
    select r.run_key as id from ops.job_run r
    left join ops.dead_letter_queue l on l.source = 'queue' and l.queue_name = r.queue and l.root_key = r.root_key
    where r.died_at is not null and r.dlq_id is null
    group by r.run_key having count(l.id) <> 1
    union all
    select r.run_key from ops.job_run r left join ops.dead_letter_queue l on l.id = r.dlq_id
    where r.died_at is not null and r.dlq_id is not null and l.id is null
    union all
    select l.id::text from ops.dead_letter_queue l
    left join ops.job_run r on r.run_key = l.run_key and r.state = 'dead'
    where l.cause not in ('orphaned', 'unreadable') and r.run_key is null`,
  D3: sql`
    select l.id::text as id from ops.dead_letter_queue l
    where l.state = 'retrying' and not exists (
      select from ops.job_run r where r.run_key = 'dlq-' || l.id || '-r' || l.generation and r.state = 'enqueued')`,
  D4: sql`
    select l.id::text as id from ops.dead_letter_queue l
    left join (
      select dlq_id, count(*) as runs, count(*) filter (where state = 'done') as done
      from ops.job_run where dlq_id is not null group by 1) r on r.dlq_id = l.id
    where l.generation <> coalesce(r.runs, 0) or r.done > 1`,
  D5: sql`
    select l.id::text as id from ops.dead_letter_queue l
    left join ops.job_run r on r.dlq_id = l.id and r.generation = l.generation
    where coalesce(l.resolution ->> 'how' = 'retried', false) <> coalesce(r.state = 'done', false)`,
  D6: sql`
    select l.id::text as id from ops.dead_letter_queue l
    left join (
      select target_id, count(*) as acts from ops.audit_log
      where target_type = 'dead_letter'
        and action in ('dlq.job_retried', 'dlq.entry_resolved', 'dlq.entry_discarded', 'dlq.entry_restored')
      group by 1) a on a.target_id = l.id::text
    left join (select dlq_id, count(*) as verdicts from ops.job_run where state <> 'enqueued' group by 1) r on r.dlq_id = l.id
    where l.version <> 1 + coalesce(a.acts, 0) + coalesce(r.verdicts, 0)`,
  D8: sql`
    select i.redrive_id || ' ' || i.ord as id from ops.redrive_item i
    left join (
      select target_id, details ->> 'redrive_id' as redrive_id, count(*) as acts from ops.audit_log
      where details ? 'redrive_id' group by 1, 2) a on a.target_id = i.letter_id::text and a.redrive_id = i.redrive_id::text
    left join ops.job_run r on r.dlq_id = i.letter_id and r.generation = i.generation and r.state = 'done'
    where coalesce(a.acts, 0) <> (i.outcome in ('enqueued', 'succeeded', 'failed'))::int
       or (i.outcome = 'succeeded' and r.run_key is null)
    union all
    select r.id::text from ops.redrive r
    left join (select redrive_id, count(*) as items from ops.redrive_item group by 1) i on i.redrive_id = r.id
    where r.included <> coalesce(i.items, 0)
    union all
    select i.letter_id::text from ops.redrive_item i join ops.redrive r on r.id = i.redrive_id
    where i.outcome in ('planned', 'enqueued') and r.state in ('waiting', 'canary', 'running', 'paused', 'stopped', 'aborting')
    group by i.letter_id having count(*) > 1`,
  D9: sql`
    select letter_id::text as id from ops.dead_letter_payload p
    where sha256 <> encode(sha256(coalesce(convert_to(body, 'UTF8'), bytes)), 'hex')`,
  'failed = captured = closed + open': sql`
    with counted as (
      select queue_name as queue, sum(captured) as captured, sum(open) as open, sum(resolved) as resolved, sum(discarded) as discarded
      from (select queue_name, captured, open, resolved, discarded from ops.dead_letter_stock
            union all select queue_name, captured, open, resolved, discarded from ops.dead_letter_change) s group by 1),
    failed as (select queue, sum(deaths) as failed from ops.job_death group by 1),
    letters as (
      select queue_name as queue, count(*) as letters, count(*) filter (where not resolved) as open
      from ops.dead_letter_queue where not synthetic group by 1)
    select queue || ' ' || coalesce(failed, 0) || ' failed, ' || coalesce(captured, 0) || ' captured, ' || coalesce(letters, 0) || ' letters' as id
    from failed full join counted using (queue) full join letters using (queue)
    where failed is distinct from captured or captured is distinct from letters or counted.open is distinct from letters.open
      or captured is distinct from resolved + discarded + counted.open`,
};

/** Each in a snapshot of its own. */
export async function brokenNow(db: Queryable): Promise<string[]> {
  const broken: string[] = [];
  for (const [name, statement] of Object.entries(lasting)) {
    const { rows } = await db.query<{ id: string }>(statement);
    broken.push(...rows.map(({ id }) => `${name} ${id}`));
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
