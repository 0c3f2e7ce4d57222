import { sql } from '../../packages/ops/src/postgres/index.ts';
import { settles } from '../harness/settled.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { places, slugs } from './market.ts';
import type { System } from './system.ts';

const sale = { queue: 'distribute_lead' };
const poolSize = 10;

/** More requests than connections. */
export async function crowd({ watch, people, market, hold }: System): Promise<void> {
  const provider = market.funded.mixed[1];
  const release = await hold(sql`select from account where provider_id = ${provider ?? null}`);
  const adjustments: Promise<unknown>[] = [];
  const come = async () => {
    for (let n = 0; n < poolSize + 2; n += 1) adjustments.push(people.adjust(provider, 1_000));
  };
  await watch.sees('twelve adjustments of one account, which is locked', come, [
    { metric: 'pg_pool_connections', labels: { state: 'active' }, role: 'api', becomes: poolSize },
    { metric: 'pg_pool_connections', labels: { state: 'waiting' }, role: 'api', becomes: 'positive' },
  ]);
  await release();
  await Promise.all(adjustments);
}

/** A caller who leaves while the statement of the request waits for a lock. */
export async function leaver({ watch, people, scene, hold }: System): Promise<void> {
  const lead = await people.submit('single');
  const release = await hold(sql`select from lead where id = ${lead}`);
  const leaving = new AbortController();
  const leave = async () => {
    const resending = fetch(`${scene.fleet.apiUrl}/api/v1/leads/${lead}/resend`, {
      method: 'POST',
      signal: leaving.signal,
    }).catch(() => {});
    await pollUntil(async () => (await scene.db.query(waiting)).rowCount > 0);
    leaving.abort();
    await resending;
  };
  await watch.sees('a caller leaves before the answer', leave, [
    { metric: 'http_request_duration_ms', labels: { route: '/api/v1/leads/:id/resend', status: '499' }, rises: 1 },
  ]);
  await release();
}

const waiting = sql`
  select from pg_stat_activity
  where application_name = 'fmhl-api' and datname = current_database() and wait_event_type = 'Lock'`;

/** A worker is killed in the middle of a sale. */
export async function killedWorker({ watch, people, scene, hold }: System): Promise<void> {
  const release = await hold(sql`select from niche where slug = ${slugs.mixed}`);
  await watch.sees('a sale is under way', () => people.bring('mixed', 1), [
    { metric: 'jobs_active', labels: sale, becomes: 1 },
  ]);
  const holder = await workerWithSale(scene);
  const kill = async () => {
    scene.fleet
      .living('worker')
      .find(({ pid }) => pid === holder)
      ?.kill();
    await release();
  };
  await watch.sees('its worker is killed', kill, [
    { metric: 'jobs_stalled_total', labels: sale, rises: 1 },
    { metric: 'assignments_created_total', rises: places },
    { metric: 'jobs_completed_total', labels: sale, rises: 1 },
    { metric: 'jobs_active', labels: sale, becomes: 0 },
  ]);
}

/** The process that began the sale, as its run says. */
async function workerWithSale({ db }: System['scene']): Promise<number> {
  return pollUntil(async () => {
    const { rows } = await db.query<{ pid: number }>(sql`
      select w.pid from ops.job_run r join ops.worker w on w.id = r.worker
      where r.queue = 'distribute_lead' and r.started > r.finished`);
    return rows[0]?.pid;
  });
}

/** Redis is full, then loses everything. */
export async function redisLosses({ watch, redis, scene }: System): Promise<void> {
  await settles(scene.db, 30_000);
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  const limit = used + 4_000_000;
  const fill = async () => {
    // Evicts only what has an end: the jobs have none.
    await redis.config('SET', 'maxmemory-policy', 'volatile-lru');
    await redis.config('SET', 'maxmemory', limit);
    const ballast = 'x'.repeat(10_000);
    for (let n = 0; n < 800; n += 1) await redis.set(`ballast:${n}`, ballast, 'EX', 600);
  };
  await watch.sees('Redis is full', fill, [
    { metric: 'redis_memory_max_bytes', becomes: limit },
    { metric: 'redis_memory_used_bytes', rises: 'some' },
    { metric: 'redis_evicted_keys_total', rises: 'some' },
  ]);
  await redis.config('SET', 'maxmemory', 0);
  await redis.config('SET', 'maxmemory-policy', 'noeviction');
  const { rows } = await scene.db.query<{ open: number }>(
    sql`select count(*)::int as open from ops.job_outbox where dispatched_at is not null`,
  );
  await watch.sees('Redis loses everything', () => redis.flushall(), [
    { metric: 'reconciler_repairs_total', labels: { kind: 'job_redispatched' }, rises: rows[0]?.open ?? 0 },
    { metric: 'jobs_enqueued_total', rises: 0 },
  ]);
}

export async function redisStill({ watch, freezeRedis }: System): Promise<void> {
  await watch.sees('Redis stands still', async () => freezeRedis(true), [
    { metric: 'health_check_up', labels: { check: 'redis' }, role: 'api', becomes: 0 },
    { metric: 'health_check_latency_ms', labels: { check: 'redis' }, role: 'api', becomes: 'positive' },
    { metric: 'metrics_collect_errors_total', labels: { collector: 'redis' }, rises: 'some' },
    { metric: 'redis_memory_used_bytes', becomes: 'absent' },
    // Postgres counts meanwhile.
    { metric: 'metrics_collect_errors_total', labels: { collector: 'queues' }, rises: 0 },
    { metric: 'queue_stats_last_success_timestamp_seconds', rises: 'some' },
  ]);
  await watch.sees('Redis goes on', async () => freezeRedis(false), [
    { metric: 'health_check_up', labels: { check: 'redis' }, role: 'api', becomes: 1 },
    { metric: 'redis_memory_used_bytes', becomes: 'positive' },
    { metric: 'queue_stats_last_success_timestamp_seconds', rises: 'some' },
  ]);
}
