/** A redrive of every open letter of a queue over the API, and what BullMQ and bull-board take for as many jobs. */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { type JobsOptions, Queue, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { retryBand } from '../packages/ops/src/dead-letters/index.ts';
import { type BenchProcess, openProcess } from './dlq-process.ts';
import { boardPrefix, boardQueue, removeKeys } from './dlq-redis.ts';
import { canarySize, kind, largestQueue, payloadOf, prefix } from './dlq-world.ts';
import { medianOf } from './report.ts';

const peer = '{peer}';
const batchSize = 1_000;

export interface Redriven {
  readonly jobs: number;
  /** Jobs a second, from the end of the canary until Redis has them all. */
  readonly rate: number;
  /** Memory of the engine's process, in MB: median of the third quarter of the run, when its heap has grown to its size, and what the last has more. */
  readonly memory: number;
  readonly memoryGrowth: number;
}

interface Plan {
  readonly id: string;
  readonly state: string;
  readonly plan_hash: string;
  readonly included: number;
  readonly stopped_because: unknown;
}

type Urls = { databaseUrl: string; redisUrl: string };

/** Plans and starts a redrive over HTTP, waits for its canary, and watches what follows. */
export async function measureRedrive(api: BenchProcess, urls: Urls, say: (line: string) => void): Promise<Redriven> {
  const engine = await openProcess('engine', urls);
  const redis = new Redis(urls.redisUrl);
  const begunAt = performance.now();
  const after = () => `${((performance.now() - begunAt) / 1_000).toFixed(1)} s`;
  try {
    const planned = await send(api, 'POST', '', {
      name: 'benchmark',
      filter: `state:open queue:${largestQueue}`,
      // oxlint-disable-next-line unicorn/no-thenable -- the API's name for the ramp
      options: { rate: 'auto', canary: { size: canarySize, then: [1] } },
    });
    const plan = await until(api, planned.id, (state) => state === 'planned');
    say(`  planned ${plan.included} retries in ${after()}`);
    await send(api, 'POST', `/${plan.id}/start`, {
      plan_hash: plan.plan_hash,
      confirm_count: plan.included,
      reason: 'a benchmark',
    });
    await until(api, plan.id, (state) => state === 'running');
    say(`  canary passed after ${after()}`);
    return await watch(redis, engine, plan.included - canarySize);
  } finally {
    await engine.stop();
    redis.disconnect();
  }
}

async function watch(redis: Redis, engine: BenchProcess, jobs: number): Promise<Redriven> {
  const startedAt = performance.now();
  const memory: number[] = [];
  while ((await countJobs(redis)) < jobs) {
    memory.push(await engine.memory());
    await wait(100);
  }
  const rate = (jobs * 1_000) / (performance.now() - startedAt);
  const quarter = Math.max(1, memory.length >> 2);
  const steady = medianOf(memory.slice(-2 * quarter, -quarter).concat(memory.slice(-1)));
  return { jobs, rate, memory: steady, memoryGrowth: medianOf(memory.slice(-quarter)) - steady };
}

/** Those of the queue that are in Redis: what the canary did has left it. */
async function countJobs(redis: Redis): Promise<number> {
  const key = (set: string) => `${prefix}:${largestQueue}:${set}`;
  const [prioritized, active, waiting] = [
    redis.zcard(key('prioritized')),
    redis.llen(key('active')),
    redis.llen(key('wait')),
  ];
  return (await Promise.all([prioritized, active, waiting])).reduce((sum, count) => sum + count, 0);
}

async function send(api: BenchProcess, method: 'GET' | 'POST', path: string, body?: object): Promise<Plan> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  const answer = await fetch(`${api.url}/api/v1/admin/redrives${path}`, {
    method,
    ...(body && { headers, body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} redrives${path} was answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as Plan;
}

async function until(api: BenchProcess, id: string, isThere: (state: string) => boolean): Promise<Plan> {
  for (;;) {
    const plan = await send(api, 'GET', `/${id}`);
    if (isThere(plan.state)) return plan;
    if (plan.state === 'stopped') throw new Error(`the redrive has stopped: ${JSON.stringify(plan.stopped_because)}`);
    await wait(50);
  }
}

/** Jobs a second of `addBulk` with jobs like those of the redrive. They are made before the clock runs. */
export async function measureAddBulk(redisUrl: string, jobs: number): Promise<number> {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue('redriven', { connection, prefix: peer });
  const batches: { name: string; data: object; opts: JobsOptions }[][] = [];
  for (let from = 0; from < jobs; from += batchSize) {
    batches.push(Array.from({ length: Math.min(batchSize, jobs - from) }, (_, at) => retryOf(from + at)));
  }
  await queue.waitUntilReady();
  const startedAt = performance.now();
  for (const batch of batches) await queue.addBulk(batch);
  const rate = (jobs * 1_000) / (performance.now() - startedAt);
  await queue.close();
  await removeKeys(connection, peer);
  connection.disconnect();
  return rate;
}

/** As the dispatcher hands over a retry. */
function retryOf(n: number) {
  const run = `dlq-${randomUUID()}-r1`;
  const meta = { correlation_id: randomUUID().replaceAll('-', ''), enqueued_at: new Date().toISOString() };
  const opts = {
    jobId: run,
    attempts: 3,
    backoff: { type: 'plane' },
    priority: retryBand,
    removeOnComplete: true,
    removeOnFail: false,
  };
  return { name: kind, data: { v: 1, run, root: `job-${n}`, meta, body: payloadOf(n) }, opts };
}

/** Failed jobs where bull-board looks: one that a worker failed, with another id, payload and time each. */
export async function addFailedJobs(redisUrl: string, from: number, to: number): Promise<void> {
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const key = (name: string | number) => `${boardPrefix}:${boardQueue}:${name}`;
  const model = await failOne(redis, redisUrl);
  for (let at = from; at < to; at += 1_000) {
    const pipeline = redis.pipeline();
    for (let n = at + 1; n <= Math.min(at + 1_000, to); n += 1) {
      const endedAt = Date.now() - 30 * 86_400_000 + Math.floor((n * 30 * 86_400_000) / 1_000_000);
      const fields = {
        data: JSON.stringify(payloadOf(n)),
        timestamp: endedAt - 100,
        processedOn: endedAt - 50,
        finishedOn: endedAt,
      };
      pipeline.hset(key(`job-${n}`), { ...model, ...fields }).zadd(key('failed'), endedAt, `job-${n}`);
    }
    await pipeline.exec();
  }
  redis.disconnect();
}

async function failOne(redis: Redis, redisUrl: string): Promise<Record<string, string>> {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const at = { connection, prefix: boardPrefix };
  const blocking = connection.duplicate();
  const queue = new Queue(boardQueue, at);
  const failed = Promise.withResolvers<void>();
  const fail = async () => {
    const error = new UnrecoverableError('upstream answered 503');
    error.stack = `Error: upstream answered 503${'\n    at call (/srv/app/dist/upstream.js:17:3)'.repeat(22)}`.slice(
      0,
      1_000,
    );
    throw error;
  };
  const worker = new Worker(boardQueue, fail, { ...at, connection: blocking });
  worker.on('failed', () => failed.resolve());
  const job = await queue.add(kind, payloadOf(0), { attempts: 3 });
  await failed.promise;
  await worker.close();
  const model = await redis.hgetall(`${boardPrefix}:${boardQueue}:${job.id}`);
  await job.remove();
  await queue.close();
  for (const each of [connection, blocking]) each.disconnect();
  return model;
}

/** Jobs a second of bull-board's button "retry all". */
export async function measureRetryAll(board: BenchProcess, jobs: number): Promise<number> {
  const startedAt = performance.now();
  const answer = await fetch(`${board.url}/board/api/queues/${boardQueue}/retry/failed`, { method: 'PUT' });
  const { retried } = (await answer.json()) as { retried?: number };
  if (retried !== jobs) throw new Error(`bull-board retried ${retried} of ${jobs} jobs`);
  return (jobs * 1_000) / (performance.now() - startedAt);
}
