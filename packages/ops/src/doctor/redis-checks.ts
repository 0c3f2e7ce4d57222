import type { Redis } from 'ioredis';
import { isLeft } from '../dead-letters/index.ts';
import { type Database, sql } from '../postgres/index.ts';
import { type FailedSets, type QueueRegistry, readEnvelope, type RedisQueues } from '../queues/index.ts';
import { withDeadline } from '../redis/index.ts';
import { databaseClock } from '../schedules/index.ts';
import { type BreachRow, type Check, type Found, mostRows, NotChecked } from './invariant.ts';

export interface RedisCheckDeps {
  readonly db: Database;
  readonly redis: Redis;
  readonly registry: QueueRegistry;
  readonly queues: RedisQueues;
  readonly failedSets: FailedSets;
  /** A run that was handed over longer ago than this must be in Redis: by then the reconciler has looked twice. In ms. */
  readonly settledAfterMs: number;
}

/** Open runs, jobs and failed entries of a queue that are looked at: the oldest. */
const most = { runs: 1_000, jobs: 500, failed: 100 } as const;

/** What is between Postgres and Redis. Their first look is at Redis or Postgres; what seems wrong is asked again, so that what moved meanwhile is not blamed. */
export function redisChecks(deps: RedisCheckDeps): readonly Check[] {
  const perQueue = async (look: (queue: string) => Promise<BreachRow[]>): Promise<Found> =>
    foundOf((await Promise.all(deps.registry.names.map(look))).flat());
  return [
    {
      name: 'J1',
      title: `A run handed over ${Math.round(deps.settledAfterMs / 1_000)} s ago is in exactly one place in Redis (the ${most.runs} oldest of each queue)`,
      enforcedBy: 'the reconciler, every minute',
      next: 'see that a scheduler runs: it hands over again what Redis lost; then fmhl job explain <queue> <run_key>',
      isWindowed: false,
      find: () => perQueue((queue) => astray(deps, queue)),
    },
    {
      name: 'J5',
      title: `Every job of ours in Redis has its run in Postgres (the first ${most.jobs} of each place)`,
      enforcedBy: 'jobs are handed over from committed runs only; a worker runs no other',
      next: 'fmhl job show <queue> <run_key>: Postgres lost a commit, or somebody else writes to this Redis',
      isWindowed: false,
      find: () => perQueue((queue) => unknownJobs(deps, queue)),
    },
    {
      name: 'D2',
      title: `Nothing that failed stays in Redis for longer than a minute (the ${most.failed} oldest of each queue)`,
      enforcedBy: 'the sweeper, every 3 s',
      next: 'see that a scheduler runs, then repair the capture: fmhl dlq proof',
      isWindowed: false,
      find: () => perQueue((queue) => unswept(deps, queue)),
    },
    {
      name: 'P3',
      title: 'Redis evicts nothing, has evicted nothing, and keeps its jobs on disk',
      enforcedBy: 'workers refuse to start on a Redis that evicts; the rest is its configuration',
      next: 'set maxmemory-policy noeviction and appendonly yes; after an eviction watch J1, which the reconciler repairs',
      isWindowed: false,
      find: async () => foundOf(faultsOf(await withDeadline(deps.redis.info(), 2_000, 'INFO'))),
    },
  ];
}

const foundOf = (rows: readonly BreachRow[]): Found => ({ rows: rows.slice(0, mostRows), count: rows.length });

interface OpenRun {
  readonly run_key: string;
  readonly dispatched_at: Date;
}

async function astray({ db, queues, settledAfterMs }: RedisCheckDeps, queue: string): Promise<BreachRow[]> {
  const { rows } = await db.query<OpenRun>(sql`
    select run_key, dispatched_at from ops.job_outbox
    where queue = ${queue} and dispatched_at < clock_timestamp() - ${settledAfterMs} * interval '1 ms'
    order by id limit ${most.runs}`);
  const keys = rows.map(({ run_key }) => run_key);
  const places = await queues.places(queue, keys);
  if (!places) throw new NotChecked(`${queue} holds more waiting jobs than can be looked through`);
  const suspects = new Map(keys.flatMap((key, at) => (places[at] === 1 ? [] : [[key, places[at] ?? 0] as const])));
  if (suspects.size === 0) return [];
  // Its verdict is committed before Redis forgets a job.
  const still = await db.query<OpenRun>(sql`
    select run_key, dispatched_at from ops.job_outbox
    where run_key = any (${[...suspects.keys()]}::text[]) and dispatched_at < clock_timestamp() - ${settledAfterMs} * interval '1 ms'`);
  return still.rows.map(({ run_key }) => ({ queue, run_key, places: suspects.get(run_key) ?? 0 }));
}

async function unknownJobs({ db, queues }: RedisCheckDeps, queue: string): Promise<BreachRow[]> {
  const jobs = await queues.contents(queue, most.jobs);
  const runs = jobs.flatMap(({ data }) => runOf(data) ?? []);
  if (runs.length === 0) return [];
  const { rows } = await db.query<{ run_key: string }>(sql`
    select run_key from unnest(${runs}::text[]) as j(run_key)
    where not exists (select from ops.job_run r where r.run_key::text = j.run_key)`);
  return rows.map(({ run_key }) => ({ queue, run_key }));
}

/** What Postgres refuses in a text can be no key of ours. */
function runOf(data: string | null): string | undefined {
  try {
    const run = readEnvelope(JSON.parse(data ?? ''))?.run;
    return run?.isWellFormed() && !run.includes('\u0000') ? run : undefined;
  } catch {
    return undefined;
  }
}

const sweptWithinMs = 60_000;

async function unswept({ db, failedSets }: RedisCheckDeps, queue: string): Promise<BreachRow[]> {
  const before = (await databaseClock(db)).getTime() - sweptWithinMs;
  const jobs = await failedSets.read(queue, 0, most.failed);
  return jobs.filter((job) => !isLeft(job) && Number(job.finishedOn) < before).map(({ id }) => ({ queue, job_id: id }));
}

const wanted: readonly (readonly [field: string, wants: string])[] = [
  ['maxmemory_policy', 'noeviction'],
  ['evicted_keys', '0'],
  ['aof_enabled', '1'],
  ['aof_last_write_status', 'ok'],
  ['aof_last_bgrewrite_status', 'ok'],
];

/** A server that does not say how it is set is taken at its word for nothing. */
function faultsOf(info: string): BreachRow[] {
  return wanted.flatMap(([setting, wants]) => {
    const is = new RegExp(`^${setting}:(\\S*)`, 'm').exec(info)?.[1];
    return is === wants || (is === undefined && setting.startsWith('aof_last'))
      ? []
      : [{ setting, is: is ?? 'unknown', wants }];
  });
}
