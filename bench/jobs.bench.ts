/**
 * What a job costs in our worker against bare BullMQ on the same machine, in the same run.
 *
 * Every arm runs the same number of no-op jobs that wait in Redis already, at concurrency 32, with the same keep options.
 * The arms take turns in changing order; each figure is the median of the ratios of neighbours. What metrics cost is less than equal rounds
 * differ in time (by a tenth), so it is compared in many short rounds, and by jobs per second of this process's CPU time.
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

const arms = ['bare', 'unrecorded', 'recorded'] as const;
type Arm = (typeof arms)[number] | 'unrecorded_no_metrics';
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
  const bench = await open(servers.databaseUrl, servers.redisUrl);
  try {
    return [
      ...(await compareWithBare(bench, quick ? { rounds: 1, jobs: 1_000 } : { rounds: 9, jobs: 30_000 }, say)),
      await compareMetrics(bench, quick ? { rounds: 1, jobs: 1_000 } : { rounds: 24, jobs: 10_000 }, say),
    ];
  } finally {
    await bench.close();
    await servers.stop();
  }
}

interface Size {
  readonly rounds: number;
  readonly jobs: number;
}
type Say = RunOptions['say'];

async function compareWithBare(bench: Bench, { rounds, jobs }: Size, say: Say): Promise<Figure[]> {
  const rates: Record<(typeof arms)[number], number[]> = { bare: [], unrecorded: [], recorded: [] };
  for (const arm of arms) await measure(bench, arm, jobs);
  for (let round = 0; round < rounds; round += 1) {
    for (let step = 0; step < arms.length; step += 1) {
      const arm = arms[(step + round) % arms.length] as (typeof arms)[number];
      rates[arm].push((await measure(bench, arm, jobs)).rate);
    }
    say(
      `round ${round + 1} of ${rounds}: ${arms.map((arm) => `${arm} ${Math.round(rates[arm].at(-1) ?? 0)}/s`).join(', ')}`,
    );
  }
  const ratio = (arm: 'unrecorded' | 'recorded') =>
    medianOf(rates[arm].map((rate, at) => rate / (rates.bare[at] ?? rate)));
  return [
    { what: 'bare BullMQ', value: Math.round(medianOf(rates.bare)), unit: 'jobs/s', target: '', ok: true },
    atLeast(0.95, {
      what: 'our worker, runs not recorded / bare BullMQ',
      value: ratio('unrecorded'),
      unit: 'ratio',
    }),
    atLeast(0.6, {
      what: 'our worker, runs by group commit / bare BullMQ',
      value: ratio('recorded'),
      unit: 'ratio',
    }),
  ];
}

async function compareMetrics(bench: Bench, { rounds, jobs }: Size, say: Say): Promise<Figure> {
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const pair = { unrecorded: 0, unrecorded_no_metrics: 0 };
    const order = ['unrecorded', 'unrecorded_no_metrics'] as const;
    for (const arm of round % 2 === 0 ? order : order.toReversed())
      pair[arm] = (await measure(bench, arm, jobs)).rateOfCpu;
    ratios.push(pair.unrecorded / pair.unrecorded_no_metrics);
  }
  say(`metrics on / off in ${rounds} rounds: ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}`);
  return atLeast(0.99, { what: 'metrics on / metrics off, by CPU time', value: medianOf(ratios), unit: 'ratio' });
}

async function open(databaseUrl: string, redisUrl: string) {
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

/** Jobs a second, of time and of this process's CPU time, from the first start to the last verdict. */
interface Rates {
  readonly rate: number;
  readonly rateOfCpu: number;
}

async function measure(bench: Bench, arm: Arm, jobs: number): Promise<Rates> {
  await bench.redis.flushall();
  await bench.db.query(sql`truncate ops.job_run cascade`);
  await (arm === 'recorded' ? fillRecorded(bench, jobs) : fillUnrecorded(bench, jobs));
  global.gc?.();
  return arm === 'bare' ? measureBare(bench, jobs) : measureOurs(bench, arm, jobs);
}

async function fillRecorded({ db, queues }: Bench, jobs: number): Promise<void> {
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

async function fillUnrecorded({ queues }: Bench, jobs: number): Promise<void> {
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

async function measureBare({ redisUrl, prefix }: Bench, jobs: number): Promise<Rates> {
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
  const rates = await timed(jobs, async () => {
    void worker.run();
    await all.promise;
  });
  await worker.close();
  connection.disconnect();
  return rates;
}

async function measureOurs(bench: Bench, arm: Exclude<Arm, 'bare'>, jobs: number): Promise<Rates> {
  const { db, connect, prefix, log } = bench;
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
    deaths: openDeathWriter({ log, metrics: bench.metrics, write: async () => [] }),
    ...(arm !== 'recorded' && { runs: unrecordedRuns }),
  });
  const rates = await timed(jobs, async () => {
    await worker.start();
    await all.promise;
  });
  await worker.stop();
  return rates;
}

async function timed(jobs: number, work: () => Promise<void>): Promise<Rates> {
  const [startedAt, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { rate: (jobs * 1_000) / (performance.now() - startedAt), rateOfCpu: (jobs * 1_000_000) / (user + system) };
}
