/** Failing jobs: through our worker until each is a letter and has left Redis, and through a bare BullMQ worker that fails them. */
import { randomUUID } from 'node:crypto';
import { openSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { Queue, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { openBurial, openFold, readStock, sweepAll } from '../packages/ops/src/dead-letters/index.ts';
import { noFailpoints } from '../packages/ops/src/failpoints/index.ts';
import { createLogger } from '../packages/ops/src/logging/index.ts';
import { createMetrics, opsCatalogue } from '../packages/ops/src/metrics/index.ts';
import { type Database, openDatabase, sql } from '../packages/ops/src/postgres/index.ts';
import { dispatchOnce } from '../packages/ops/src/queues/dispatch.ts';
import {
  createRegistry,
  defineQueue,
  enqueueMany,
  openDeathWriter,
  openFailedSets,
  openRedisQueues,
  openWorker,
  PermanentError,
} from '../packages/ops/src/queues/index.ts';
import { connectRedis, workerConnection } from '../packages/ops/src/redis/index.ts';
import { kind, payloadOf, payloadSchema } from './dlq-world.ts';
import { removeKeys, rewriteLog, usedMemory } from './dlq-redis.ts';
import { openPostgresCpu } from './postgres-cpu.ts';
import { medianOf } from './report.ts';

const concurrency = 32;
/** As the sweeper of the scheduler role. */
const sweepEveryMs = 3_000;
const ours = '{capture}';
const bare = '{bare}';

const failing = defineQueue({
  name: 'failing',
  attempts: 3,
  backoffMs: [1_000],
  kinds: { [kind]: { schema: payloadSchema, sideEffect: 'idempotent' } },
});

export interface Captured {
  /** Jobs a second: medians. */
  readonly bare: number;
  readonly ours: number;
  /** Median of the ratios of neighbours. */
  readonly ratio: number;
  /** Growth of Redis for 10,000 failures, in MB: medians. */
  readonly bareGrowth: number;
  readonly ourGrowth: number;
  /** Failures that are no letter, or whose job is still in Redis. */
  readonly lost: number;
}

interface Round {
  readonly rate: number;
  readonly growth: number;
  /** CPU time of this process and of Postgres, in ms a failure. */
  readonly cpuMs: number;
  readonly postgresMs: number;
}

export interface CaptureOptions {
  readonly jobs: number;
  readonly rounds: number;
  readonly say: (line: string) => void;
}

type Bench = Awaited<ReturnType<typeof open>>;

export async function measureCapture(
  urls: { databaseUrl: string; redisUrl: string },
  { jobs, rounds, say }: CaptureOptions,
): Promise<Captured> {
  const bench = await open(urls);
  try {
    // The first of each warms up, and fills the streams of events that BullMQ keeps to a length.
    const ofBare = [await failBare(bench, jobs)];
    const ofOurs = [await failOurs(bench, jobs)];
    for (let round = 1; round <= rounds; round += 1) {
      const arms = [
        async () => ofBare.push(await failBare(bench, jobs)),
        async () => ofOurs.push(await failOurs(bench, jobs)),
      ];
      for (const arm of round % 2 === 0 ? arms.reverse() : arms) await arm();
      say(`  round ${round} of ${rounds}: bare ${toldOf(ofBare.at(-1))}; ours ${toldOf(ofOurs.at(-1))}`);
    }
    return { ...figuresOf(ofBare.slice(1), ofOurs.slice(1)), lost: await countLost(bench, jobs * (rounds + 1)) };
  } finally {
    await bench.close();
  }
}

const toldOf = (round: Round | undefined) =>
  `${Math.round(round?.rate ?? 0)}/s, CPU ${(round?.cpuMs ?? 0).toFixed(2)} + Postgres ${(round?.postgresMs ?? 0).toFixed(2)} ms each, Redis +${(round?.growth ?? 0).toFixed(2)} MB for 10,000`;

function figuresOf(ofBare: readonly Round[], ofOurs: readonly Round[]) {
  return {
    bare: medianOf(ofBare.map(({ rate }) => rate)),
    ours: medianOf(ofOurs.map(({ rate }) => rate)),
    ratio: medianOf(ofOurs.map(({ rate }, at) => rate / (ofBare[at]?.rate ?? Number.NaN))),
    bareGrowth: medianOf(ofBare.map(({ growth }) => growth)),
    ourGrowth: medianOf(ofOurs.map(({ growth }) => growth)),
  };
}

async function open({ databaseUrl, redisUrl }: { databaseUrl: string; redisUrl: string }) {
  const db = openDatabase({ url: databaseUrl, poolSize: 8 });
  const redis = connectRedis({ url: redisUrl });
  const registry = createRegistry([failing]);
  const queues = openRedisQueues(redis, registry, ours);
  const metrics = createMetrics({
    enabled: true,
    catalogue: opsCatalogue(),
    queues: registry.names,
    version: 'bench',
    commit: 'bench',
  });
  const names = { service: 'bench', version: 'bench', instance: 'bench', bootId: 'bench' };
  const log = createLogger({ level: 'info', format: 'json', ...names, destination: openSync('/dev/null', 'w') });
  return {
    db,
    redis,
    redisUrl,
    postgresCpu: await openPostgresCpu(db),
    registry,
    queues,
    metrics,
    log,
    workerId: randomUUID(),
    failpoint: noFailpoints,
    async close() {
      await queues.close();
      redis.disconnect();
      await db.close();
    },
  };
}

/** A failure as deep as those of real handlers: its stack has ten lines. */
function failAt(depth: number, n: number, failure: new (message: string) => Error): never {
  if (depth > 0) return failAt(depth - 1, n, failure);
  throw new failure(`upstream answered 503 for order ${n}`);
}

async function failBare({ redis, redisUrl, postgresCpu }: Bench, jobs: number): Promise<Round> {
  const before = await usedMemory(redis);
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue('failing', { connection: redis, prefix: bare, skipWaitingForReady: true });
  for (let from = 0; from < jobs; from += 500) {
    await queue.addBulk(
      Array.from({ length: 500 }, (_, at) => ({ name: kind, data: payloadOf(from + at), opts: { attempts: 1 } })),
    );
  }
  const fail = async ({ data }: { data: ReturnType<typeof payloadOf> }) =>
    failAt(8, data.customer.id, UnrecoverableError);
  const worker = new Worker('failing', fail, { connection, prefix: bare, concurrency, autorun: false });
  let failed = 0;
  const all = Promise.withResolvers<void>();
  worker.on('failed', () => ++failed === jobs && all.resolve());
  await rewriteLog(redis);
  const begun = begin(postgresCpu);
  void worker.run();
  await all.promise;
  const spent = begun.end(jobs);
  await worker.close();
  connection.disconnect();
  const growth = await growthSince(redis, before, jobs);
  // Ours leaves no jobs behind either.
  await removeKeys(redis, bare);
  return { ...spent, growth };
}

/** From the first start to the last job's removal: what the sweeper does is part of it, but not its pauses. */
async function failOurs(bench: Bench, jobs: number): Promise<Round> {
  const before = await usedMemory(bench.redis);
  await fill(bench, jobs);
  let dead = 0;
  const all = Promise.withResolvers<void>();
  const write = openBurial(bench);
  const deaths = openDeathWriter({
    ...bench,
    async write(dying) {
      const died = await write(dying);
      dead += died.length;
      if (dead >= jobs) all.resolve();
      return died;
    },
  });
  const worker = openWorker(
    [
      {
        queue: failing,
        concurrency,
        handler: async ({ payload }) =>
          failAt(8, (payload as ReturnType<typeof payloadOf>).customer.id, PermanentError),
      },
    ],
    {
      ...bench,
      connect: () => workerConnection({ url: bench.redisUrl }),
      prefix: ours,
      version: 'bench',
      lockMs: 30_000,
      stopWithinMs: 5_000,
      deaths,
    },
  );
  const fold = openFold(bench);
  const sweep = () =>
    sweepAll({ ...bench, deaths, failedSets: openFailedSets(bench.redis, ours) }, new AbortController().signal);
  await fold.start();
  await rewriteLog(bench.redis);
  const begun = begin(bench.postgresCpu);
  await worker.start();
  const ended = new AbortController();
  const sweeping = sweepUntil(ended.signal, sweep);
  await all.promise;
  ended.abort();
  await sweeping;
  // The last ones are told to Redis after their commit.
  while ((await bench.queues.counts('failing')).active > 0) await wait(5);
  await sweep();
  const spent = begun.end(jobs);
  await worker.stop();
  await fold.stop();
  return { ...spent, growth: await growthSince(bench.redis, before, jobs) };
}

async function sweepUntil(signal: AbortSignal, sweep: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) {
    await wait(sweepEveryMs, undefined, { signal }).catch(() => {});
    if (!signal.aborted) await sweep();
  }
}

async function fill({ db, queues }: Bench, jobs: number): Promise<void> {
  for (let from = 0; from < jobs; from += 500) {
    const drafts = Array.from({ length: 500 }, (_, at) => ({
      key: `failing-${randomUUID()}`,
      payload: payloadOf(from + at),
    }));
    await db.transaction((tx) => enqueueMany(tx, failing, kind, drafts));
  }
  const deps = { db, redis: queues, failpoint: noFailpoints, onDispatched: () => {}, onRefused: async () => {} };
  while ((await dispatchOnce({ ...deps, mostWaiting: Number.POSITIVE_INFINITY })).more);
  await db.query(sql`analyze ops.job_run`);
}

/** What a round spends from here on. */
function begin(postgresCpu: () => number) {
  const [startedAt, cpu, postgres] = [performance.now(), process.cpuUsage(), postgresCpu()];
  return {
    end(jobs: number) {
      const { user, system } = process.cpuUsage(cpu);
      return {
        rate: (jobs * 1_000) / (performance.now() - startedAt),
        cpuMs: (user + system) / 1_000 / jobs,
        postgresMs: (postgresCpu() - postgres) / jobs,
      };
    },
  };
}

async function growthSince(redis: Redis, before: number, jobs: number): Promise<number> {
  return (((await usedMemory(redis)) - before) * 10_000) / jobs;
}

async function countLost({ db, queues }: { db: Database; queues: Bench['queues'] }, failures: number): Promise<number> {
  const stock = await readStock(db);
  const { failed, active, waiting } = await queues.counts('failing');
  return Math.abs(failures - stock.reduce((sum, { captured }) => sum + captured, 0)) + failed + active + waiting;
}
