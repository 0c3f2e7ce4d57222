/** Dead letters of any number, made by a few set-based statements: same size, same shape. */
import { z } from 'zod';
import { foldChanges } from '../packages/ops/src/dead-letters/index.ts';
import { letterIdOf } from '../packages/ops/src/dead-letters/letter-statements.ts';
import { type Database, type Queryable, raw, sql } from '../packages/ops/src/postgres/index.ts';
import {
  createRegistry,
  defineQueue,
  openRedisQueues,
  type QueueDefinition,
} from '../packages/ops/src/queues/index.ts';
import { connectRedis } from '../packages/ops/src/redis/index.ts';

/** The queues by their share of the letters. */
const shares: Readonly<Record<string, number>> = {
  sync_customer: 0.334,
  send_mail: 0.266,
  charge_card: 0.2,
  build_report: 0.12,
  call_webhook: 0.08,
};
export const queueNames = Object.keys(shares);
/** The queue with a third of the letters: of a million, 100,000 are open there. */
export const largestQueue = 'sync_customer';
/** Where jobs wait. */
export const busyQueue = 'build_report';
export const kind = 'task';
/** Letters of a redrive that go first. */
export const canarySize = 5;
/** Of the plane's keys in Redis. */
export const prefix = '{bench}';

const fingerprintsOfQueue = 40;
const days = 30;
/** Of ten letters. */
const openOfTen = 3;
const rowsAStatement = 25_000;

export const payloadSchema = z.strictObject({
  customer: z.strictObject({ id: z.int(), email: z.string() }),
  order: z.string(),
  amount_cents: z.int(),
  note: z.string(),
});

export const queues: readonly QueueDefinition[] = queueNames.map((name) =>
  defineQueue({
    name,
    attempts: 3,
    backoffMs: [1_000],
    // A worker that is stuck on purpose stays so.
    kinds: { [kind]: { schema: payloadSchema, sideEffect: 'idempotent', timeoutMs: 3_600_000 } },
  }),
);

/** A payload of 300 bytes. */
export function payloadOf(n: number): z.infer<typeof payloadSchema> {
  const customer = { id: n, email: `person-${n}@example.com` };
  const payload = { customer, order: `order-${n}`, amount_cents: (n * 37) % 100_000, note: '' };
  return { ...payload, note: 'x'.repeat(Math.max(0, 300 - JSON.stringify(payload).length)) };
}

/** The queues' kinds of failure, 40 each: what a letter says of its error. A table of the benchmark's own. */
export async function addFailures(db: Database): Promise<void> {
  await db.query(sql`
    create table bench_failure as
    select q.nth * ${fingerprintsOfQueue}::int + k as n, q.queue,
           'v1_' || left(md5('failure-' || q.nth || '-' || k), 16) as fingerprint,
           (array['TimeoutError', 'HttpError', 'ValidationError', 'TypeError'])[1 + k % 4] as error_type,
           'upstream ' || md5('host-' || k) || ' answered ' || 500 + k as message,
           case when k % 4 = 2 then 'permanent' else 'exhausted' end as cause,
           left('Error: upstream answered ' || 500 + k || (
             select string_agg(E'\n    at ' || left(md5(q.queue || k || line), 12) || ' (/srv/app/dist/' || md5('file-' || line || k) || '.js:'
                               || line * 17 || ':' || line + 3 || ')', '' order by line)
             from generate_series(1, 14) line), 1000) as stack
    from unnest(${queueNames}::text[]) with ordinality as q(queue, nth), generate_series(0, ${fingerprintsOfQueue - 1}::int) k`);
  await db.query(sql`create unique index on bench_failure (n)`);
  await db.query(sql`
    insert into ops.dead_letter_group (fingerprint, title, error_type, message, frame, first_seen, last_seen, first_version, last_version)
    select fingerprint, error_type || ': ' || message, error_type, message, 'upstream.js:call', now() - interval '30 days', now(), '1.0.0', '1.2.0'
    from bench_failure`);
}

/**
 * Adds letters until there are so many: five queues, 200 fingerprints of which few are frequent, deaths spread evenly over 30 days, 70 %
 * closed, each with its payload and its dead run. The triggers count them; the sums by hour are then dated as if each had been captured when it
 * died.
 */
export async function growTo(db: Database, letters: number): Promise<void> {
  const { rows } = await db.query<{ letters: number }>(sql`select count(*) as letters from ops.dead_letter_queue`);
  const first = rows[0]?.letters ?? 0;
  const batches: number[] = [];
  for (let from = first; from < letters; from += rowsAStatement) batches.push(from);
  const waiting = batches.values();
  const work = async () => {
    for (const from of waiting)
      await db.transaction(
        (tx) => addLetters(tx, { first, from, to: Math.min(from + rowsAStatement, letters), last: letters }),
        slow,
      );
  };
  await withoutIndexes(db, () => Promise.all([work(), work()]));
  while ((await foldChanges(db)).more);
  await db.transaction(dateHours, slow);
  await db.query(
    sql`update ops.dead_letter_group g set sample_id = (select id from ops.dead_letter_queue d where d.fingerprint = g.fingerprint limit 1)`,
  );
  // What autovacuum has done by then where so many die in a month, not in a minute.
  for (const table of [sql`ops.dead_letter_queue`, sql`ops.dead_letter_payload`, sql`ops.job_run`])
    await db.query(sql`vacuum (analyze) ${table}`);
  await db.query(
    sql`vacuum (analyze) ops.dead_letter_hour, ops.dead_letter_stock, ops.dead_letter_change, ops.dead_letter_group`,
  );
  await db.query(sql`checkpoint`);
}

/** Drops the indexes that hold no constraint and makes them again afterwards, as a restore does: a third of the time. */
async function withoutIndexes(db: Database, work: () => Promise<unknown>): Promise<void> {
  const { rows } = await db.query<{ name: string; definition: string }>(sql`
    select format('%I.%I', schemaname, indexname) as name, indexdef as definition from pg_indexes
    where schemaname = 'ops' and tablename in ('dead_letter_queue', 'job_run') and indexdef not like 'CREATE UNIQUE%'`);
  for (const { name } of rows) await db.query(sql`drop index ${raw(name)}`);
  await work();
  const waiting = rows.values();
  const make = async () => {
    for (const { definition } of waiting) {
      await db.transaction(async (tx) => {
        await tx.query(sql`set local maintenance_work_mem = '256MB'`);
        await tx.query(raw(definition));
      }, slow);
    }
  };
  await Promise.all([make(), make()]);
}

const slow = { statementTimeoutMs: 120_000, lockTimeoutMs: 120_000 };

/** The rows `from` to `to` of those `first` to `last` that are added at once, in the order in which they die, as in production. */
interface Part {
  readonly first: number;
  readonly from: number;
  readonly to: number;
  readonly last: number;
}

async function addLetters(tx: Queryable, part: Part): Promise<void> {
  await tx.query(sql`set local synchronous_commit = off`);
  await drawLetters(tx, part);
  await tx.query(sql`
    insert into ops.dead_letter_queue (id, queue_name, kind, job_id, root_key, run_key, state, version, cause, payload, payload_bytes,
      error_type, error_message, stack_trace, fingerprint, attempts, failed_at, first_failed_at, created_at, resolved_at, resolution,
      worker_version, worker_host, correlation_id)
    select id, queue, ${kind}, run_key, run_key, run_key, state, 1 + (state <> 'pending')::int, cause, body::jsonb, octet_length(body), error_type,
           message, stack, fingerprint, 3, failed_at, failed_at - interval '20 seconds', failed_at + interval '3 milliseconds',
           case when state <> 'pending' then least(failed_at + interval '4 hours', now()) end,
           case when state <> 'pending' then jsonb_build_object('how', case state when 'resolved' then 'retried' else 'discarded' end) end,
           version, 'worker-' || n % 8, correlation_id
    from bench_drawn`);
  await tx.query(sql`
    insert into ops.dead_letter_payload (letter_id, version, body, sha256, created_at)
    select id, 0, body, encode(sha256(convert_to(body, 'UTF8')), 'hex'), failed_at from bench_drawn`);
  await tx.query(sql`
    insert into ops.job_run (run_key, root_key, queue, kind, state, started, finished, failures, max_attempts, run_at, enqueued_at,
                             last_started_at, finished_at, died_at, cause, last_error, correlation_id)
    select run_key, run_key, queue, ${kind}, 'dead', 3, 3, 3, 3, failed_at, failed_at - interval '1 minute', failed_at, failed_at, failed_at,
           cause, jsonb_build_object('type', error_type, 'message', message), correlation_id
    from bench_drawn`);
  await tx.query(sql`insert into ops.job_death (queue, deaths) select queue, count(*) from bench_drawn group by queue`);
  await tx.query(sql`drop table bench_drawn`);
}

/** Cumulated shares but for the last, for `width_bucket`. */
const bounds = Object.values(shares)
  .slice(0, -1)
  .reduce<number[]>((sums, share) => [...sums, (sums.at(-1) ?? 0) + share], []);

async function drawLetters(tx: Queryable, { first, from, to, last }: Part): Promise<void> {
  await tx.query(sql`
    create temp table bench_drawn on commit drop as
    with drawn as materialized (
      select n, 'job-' || n as run_key, md5('correlation-' || n) as correlation_id,
             (1 + width_bucket((n * 7919::bigint % 1000) / 1000.0::float8, ${bounds}::float8[])) * ${fingerprintsOfQueue}::int
               + floor(power(random(), 2) * ${fingerprintsOfQueue}::int)::int as failure,
             now() - (1 - (n + random() - ${first}::int) / ${last - first}::int) * ${days}::int * interval '1 day' as failed_at,
             case when n % 10 < ${openOfTen} then 'pending' when n % 10 < 9 then 'resolved' else 'discarded' end as state,
             '{"customer":{"id":' || n || ',"email":"person-' || n || '@example.com"},"order":"order-' || n || '","amount_cents":'
               || n * 37::bigint % 100000 || ',"note":"' as head
      from generate_series(${from}::int, ${to - 1}::int) n)
    select d.n, ${letterIdOf(sql`d.failed_at`)} as id, d.run_key, d.correlation_id, d.failed_at, d.state, d.head || repeat('x', greatest(0, 298 - length(d.head))) || '"}' as body,
           '1.' || 2 - extract(day from now() - d.failed_at)::int / 11 || '.0' as version,
           f.queue, f.fingerprint, f.error_type, f.message, f.cause, f.stack
    from drawn d join bench_failure f on f.n = d.failure`);
}

/** Jobs that wait: runs whose rows say that they were handed over, and the jobs themselves, as the dispatcher adds them. */
export async function addWaitingJobs(db: Database, redisUrl: string, jobs: number): Promise<void> {
  const redis = connectRedis({ url: redisUrl });
  const registry = createRegistry(queues);
  const redisQueues = openRedisQueues(redis, registry, prefix);
  const run = sql`'waiting-' || n`;
  await db.query(sql`
    insert into ops.job_run (run_key, root_key, queue, kind, max_attempts, correlation_id)
    select ${run}, ${run}, ${busyQueue}, ${kind}, 3, 'bench' from generate_series(1, ${jobs}::int) n`);
  await db.query(sql`
    insert into ops.job_outbox (run_key, queue, envelope, dispatched_at, dispatches)
    select ${run}, ${busyQueue}, '{}', now(), 1 from generate_series(1, ${jobs}::int) n`);
  for (let from = 1; from <= jobs; from += 1_000) {
    await redisQueues.add(
      busyQueue,
      Array.from({ length: Math.min(1_000, jobs - from + 1) }, (_, at) => waitingJob(from + at)),
    );
  }
  await db.query(sql`vacuum (analyze) ops.job_run, ops.job_outbox`);
  await redisQueues.close();
  redis.disconnect();
}

function waitingJob(n: number) {
  const [runKey, meta] = [`waiting-${n}`, { correlation_id: 'bench', enqueued_at: new Date().toISOString() }];
  const envelope = { v: 1 as const, run: runKey, root: runKey, meta, body: payloadOf(n) };
  return { runKey, kind, envelope: JSON.stringify(envelope), attempts: 3, priority: 0, delayMs: 0 };
}

/** The triggers counted in the hour of the clock; these letters died over a month. */
async function dateHours(tx: Queryable): Promise<void> {
  await tx.query(sql`truncate ops.dead_letter_hour`);
  await tx.query(sql`
    insert into ops.dead_letter_hour (hour, source, queue_name, fingerprint, cause, worker_version, captured, deaths, resolved, discarded,
                                      retried_ok, closed_s)
    select date_trunc('hour', failed_at, 'UTC'), source, queue_name, fingerprint, cause, worker_version, count(*), count(*),
           count(*) filter (where state = 'resolved'), count(*) filter (where state = 'discarded'),
           count(*) filter (where state = 'resolved'), coalesce(sum(extract(epoch from resolved_at - created_at)) filter (where resolved), 0)
    from ops.dead_letter_queue group by 1, 2, 3, 4, 5, 6`);
}
