import { type Database, sql } from '../postgres/index.ts';
import { mostWaiting, readOverview, type RedisQueues } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';
import type { Explanation } from './contract.ts';
import type { QueueReading } from './detail.ts';
import { explainJob, explainQueue, type QueueFacts } from './explanation.ts';
import { readOut, readProcesses } from './flow.ts';
import { readWish } from './pause.ts';
import { findRun, type Run } from './runs.ts';

/** Why jobs of a queue wait. `queue` is its canonical name. */
export async function explainQueueWait(deps: QueueReading, queue: string): Promise<Explanation> {
  const { db, queues, registry } = deps;
  const definition = registry.get(queue);
  if (!definition) throw new TypeError(`no queue "${queue}" is registered`);
  const [facts, overview] = await Promise.all([
    gatherQueue(deps, queue),
    readOverview(db, queues, { definitions: [definition] }, () => new Date()),
  ]);
  const [row] = overview.queues;
  if (!row) throw new TypeError(`queue "${queue}" was not read`);
  return explainQueue(facts, {
    depth: row.depth,
    active: row.active,
    delayed: row.delayed,
    notDispatched: row.not_dispatched,
    oldestAgeS: row.oldest_job_age_s,
  });
}

/** Why a job does not run. Throws refusal `not_found`. */
export async function explainJobWait(deps: QueueReading, queue: string, jobId: string): Promise<Explanation> {
  const { db, queues } = deps;
  const [facts, run, place] = await Promise.all([
    gatherQueue(deps, queue),
    findRun(db, queue, jobId),
    queues.place(queue, jobId).catch(() => null),
  ]);
  if (!run) throw refuse('not_found');
  return explainJob(facts, {
    jobId,
    state: run.state,
    enqueuedAt: run.enqueued_at,
    runAt: run.run_at,
    startedAt: run.last_started_at,
    endedAt: run.finished_at,
    dispatched: run.dispatched_at !== null,
    priority: run.priority,
    isRetry: run.generation > 0,
    crashes: run.started - run.finished - (run.state === 'active' ? 1 : 0),
    place,
    workerSeenAt: await workerSeenAt(db, run),
    ahead:
      run.state === 'waiting' || run.state === 'delayed' ? await aheadOf(db, run, facts, place?.ahead ?? null) : null,
  });
}

async function gatherQueue({ db, queues }: QueueReading, queue: string): Promise<QueueFacts> {
  const [pause, processes, perMinute, redrive, redis] = await Promise.all([
    readWish(db, queue),
    readProcesses(db, queue),
    readOut(db, queue),
    liveRedrive(db, queue),
    askRedis(queues, queue).catch(() => null),
  ]);
  return { now: new Date(), queue, pause, redis, workers: processes.length, perMinute, redrive, mostWaiting };
}

async function askRedis(queues: RedisQueues, queue: string): Promise<NonNullable<QueueFacts['redis']>> {
  const [{ waiting, active, paused }, limitedForMs] = await Promise.all([
    queues.counts(queue),
    queues.limitedForMs(queue),
  ]);
  return { waiting, active, paused, limitedForMs };
}

async function liveRedrive(db: Database, queue: string): Promise<QueueFacts['redrive']> {
  const { rows } = await db.query<{ id: string; name: string }>(sql`
    select id, name from ops.redrive
    where state in ('canary', 'running') and ${queue} = any (destinations) order by started_at limit 1`);
  return rows[0] ?? null;
}

async function workerSeenAt(db: Database, { run_key, state }: Run): Promise<Date | null> {
  if (state !== 'active') return null;
  const { rows } = await db.query<{ last_seen_at: Date }>(sql`
    select w.last_seen_at from ops.job_run r join ops.worker w on w.id = r.worker where r.run_key = ${run_key}`);
  return rows[0]?.last_seen_at ?? null;
}

/** Rows of the outbox that are counted at most. */
const mostCounted = 100_000;

/** Redis knows the place of what it holds; what is not handed over stands behind all of that, in the order of the outbox. */
async function aheadOf(db: Database, run: Run, { redis }: QueueFacts, inRedis: number | null): Promise<number | null> {
  if (inRedis !== null) return inRedis;
  if (run.outbox_id === null) return null;
  // Delayed in Redis: when its time has come it stands behind what waits.
  if (redis && run.dispatched_at !== null) return redis.waiting;
  const only = redis ? sql`dispatched_at is null` : sql`queue = ${run.queue}`;
  const { rows } = await db.query<{ ahead: number }>(sql`
    select count(*) filter (where queue = ${run.queue}) as ahead
    from (select queue from ops.job_outbox where ${only} and id < ${run.outbox_id} order by id limit ${mostCounted}) o`);
  return (redis?.waiting ?? 0) + (rows[0]?.ahead ?? 0);
}
