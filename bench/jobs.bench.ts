/**
 * What a job costs in our worker against bare BullMQ on the same machine, in the same run.
 *
 * Every arm runs the same number of no-op jobs that wait in Redis already, at concurrency 32, with the same keep options.
 * The arms take turns in changing order; each figure is the median of the ratios of neighbours.
 */
import { randomUUID } from 'node:crypto';
import { openSync } from 'node:fs';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { noFailpoints } from '../packages/ops/src/failpoints/index.ts';
import { createLogger } from '../packages/ops/src/logging/index.ts';
import { createMetrics, opsCatalogue } from '../packages/ops/src/metrics/index.ts';
import { openDatabase, openMigrator, sql } from '../packages/ops/src/postgres/index.ts';
import { opsMigrations } from '../packages/ops/src/ops.ts';
import {
  createRegistry,
  defineQueue,
  done,
  enqueueMany,
  openDeathWriter,
  openRedisQueues,
  openWorker,
} from '../packages/ops/src/queues/index.ts';
import { dispatchOnce } from '../packages/ops/src/queues/dispatch.ts';
import type { RunWriter } from '../packages/ops/src/queues/run-writer.ts';
import { connectRedis, workerConnection } from '../packages/ops/src/redis/index.ts';
import { atLeast, type Figure, medianOf, type RunOptions } from './report.ts';
import { startServers } from './servers.ts';

export const about = 'jobs through our worker against bare BullMQ, concurrency 32';

const concurrency = 32;
const noop = defineQueue({
  name: 'noop',
  attempts: 3,
  backoffMs: [1_000],
  kinds: { task: { schema: z.strictObject({ n: z.int() }), sideEffect: 'idempotent' } },
});

type Arm = 'bare' | 'unrecorded' | 'unrecorded_no_metrics' | 'recorded';
type Bench = Awaited<ReturnType<typeof open>>;

/** Runs that nobody records: what the rest of the worker costs. */
const unrecordedRuns: RunWriter = {
  begin: async () => ({ started: 1, failures: 0, maxAttempts: 3 }),
  finish: async () => true,
  fail: async () => true,
  flush: async () => {},
};

export async function run({ quick, say }: RunOptions): Promise<Figure[]> {
  const servers = await startServers();
  const bench = await open(servers.databaseUrl, servers.redisUrl, quick ? 1_000 : 30_000);
  try {
    const rounds = quick ? 1 : 9;
    const arms: Arm[] = ['bare', 'unrecorded', 'unrecorded_no_metrics', 'recorded'];
    const rates: Record<Arm, number[]> = { bare: [], unrecorded: [], unrecorded_no_metrics: [], recorded: [] };
    for (const arm of arms) await measure(bench, arm);
    for (let round = 0; round < rounds; round += 1) {
      for (let step = 0; step < arms.length; step += 1) {
        const arm = arms[(step + round) % arms.length] as Arm;
        rates[arm].push(await measure(bench, arm));
      }
      say(
        `round ${round + 1} of ${rounds}: ${arms.map((arm) => `${arm} ${Math.round(rates[arm].at(-1) ?? 0)}/s`).join(', ')}`,
      );
    }
    const ratio = (arm: Arm, of: Arm) => medianOf(rates[arm].map((rate, at) => rate / (rates[of][at] ?? rate)));
    return [
      { what: 'bare BullMQ', value: Math.round(medianOf(rates.bare)), unit: 'jobs/s', target: '', ok: true },
      atLeast(0.95, {
        what: 'our worker, runs not recorded / bare BullMQ',
        value: ratio('unrecorded', 'bare'),
        unit: 'ratio',
      }),
      atLeast(0.6, {
        what: 'our worker, runs by group commit / bare BullMQ',
        value: ratio('recorded', 'bare'),
        unit: 'ratio',
      }),
      atLeast(0.99, {
        what: 'metrics on / metrics off',
        value: ratio('unrecorded', 'unrecorded_no_metrics'),
        unit: 'ratio',
      }),
    ];
  } finally {
    await bench.close();
    await servers.stop();
  }
}

async function open(databaseUrl: string, redisUrl: string, jobs: number) {
  await openMigrator({ url: databaseUrl, sets: [opsMigrations] }).up();
  const db = openDatabase({ url: databaseUrl, poolSize: 8 });
  const redis = connectRedis({ url: redisUrl });
  const registry = createRegistry([noop]);
  const prefix = '{bench}';
  const queues = openRedisQueues(redis, registry, prefix);
  const metricsOptions = { catalogue: opsCatalogue(), queues: registry.names, version: 'bench', commit: 'bench' };
  return {
    db,
    redis,
    queues,
    prefix,
    jobs,
    redisUrl,
    connect: () => workerConnection({ url: redisUrl }),
    metrics: createMetrics({ ...metricsOptions, enabled: true }),
    noMetrics: createMetrics({ ...metricsOptions, enabled: false }),
    log: createLogger({
      level: 'info',
      format: 'json',
      service: 'bench',
      version: 'bench',
      instance: 'bench',
      bootId: randomUUID(),
      destination: openSync('/dev/null', 'w'),
    }),
    async close() {
      await queues.close();
      redis.disconnect();
      await db.close();
    },
  };
}

/** Jobs per second of one arm, from the first start to the last verdict. */
async function measure(bench: Bench, arm: Arm): Promise<number> {
  await bench.redis.flushall();
  await bench.db.query(sql`truncate ops.job_run cascade`);
  await (arm === 'recorded' ? fillRecorded(bench) : fillUnrecorded(bench));
  global.gc?.();
  return arm === 'bare' ? measureBare(bench) : measureOurs(bench, arm);
}

async function fillRecorded({ db, queues, jobs }: Bench): Promise<void> {
  for (let from = 0; from < jobs; from += 500) {
    const drafts = Array.from({ length: 500 }, (_, at) => ({ key: `noop-${from + at}`, payload: { n: from + at } }));
    await db.transaction((tx) => enqueueMany(tx, noop, 'task', drafts));
  }
  const deps = {
    db,
    redis: queues,
    failpoint: noFailpoints,
    mostWaiting: jobs,
    onDispatched: () => {},
    onRefused: async () => {},
  };
  while ((await dispatchOnce(deps)).more);
  await db.query(sql`analyze ops.job_run`);
}

async function fillUnrecorded({ queues, jobs }: Bench): Promise<void> {
  const meta = () => ({ correlation_id: randomUUID(), enqueued_at: new Date().toISOString() });
  for (let from = 0; from < jobs; from += 500) {
    const keys = Array.from({ length: 500 }, (_, at) => from + at);
    await queues.add(
      'noop',
      keys.map((n) => ({
        runKey: `noop-${n}`,
        kind: 'task',
        attempts: 3,
        priority: 0,
        delayMs: 0,
        envelope: JSON.stringify({ v: 1, run: `noop-${n}`, root: `noop-${n}`, meta: meta(), body: { n } }),
      })),
    );
  }
}

async function measureBare({ redisUrl, prefix, jobs }: Bench): Promise<number> {
  // As BullMQ's own guide says it.
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const worker = new Worker('noop', async () => ({ ok: 1 }), {
    connection,
    prefix,
    concurrency,
    autorun: false,
  });
  let completed = 0;
  const all = Promise.withResolvers<void>();
  worker.on('completed', () => ++completed === jobs && all.resolve());
  const seconds = await timed(async () => {
    void worker.run();
    await all.promise;
  });
  await worker.close();
  connection.disconnect();
  return jobs / seconds;
}

async function measureOurs(bench: Bench, arm: Exclude<Arm, 'bare'>): Promise<number> {
  const { db, connect, prefix, jobs, log } = bench;
  let completed = 0;
  const all = Promise.withResolvers<void>();
  const count = () => void (++completed === jobs && all.resolve());
  const worker = openWorker([{ queue: noop, concurrency, handler: async () => done }], {
    db,
    connect,
    log,
    prefix,
    metrics: arm === 'unrecorded_no_metrics' ? bench.noMetrics : bench.metrics,
    version: 'bench',
    workerId: randomUUID(),
    lockMs: 30_000,
    failpoint: noFailpoints,
    stopWithinMs: 5_000,
    onCompleted: count,
    deaths: openDeathWriter({ db, log, metrics: bench.metrics, workerId: randomUUID(), onDeaths: async () => {} }),
    ...(arm !== 'recorded' && { runs: unrecordedRuns }),
  });
  const seconds = await timed(async () => {
    await worker.start();
    await all.promise;
  });
  await worker.stop();
  return jobs / seconds;
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1_000;
}
