/**
 * What a job costs in our worker against bare BullMQ on the same machine, in the same run.
 *
 * Every arm runs the same number of no-op jobs that wait in Redis already, at concurrency 32, with the same keep options.
 * The arms take turns in changing order; each figure is the median of the ratios of neighbours. What metrics cost is far less than equal rounds
 * differ (by a tenth), so one worker counts and does not count by turns of a thousand jobs, and what a turn takes of the process's CPU time is compared.
 */
import { randomUUID } from 'node:crypto';
import { openSync } from 'node:fs';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { noFailpoints } from '../packages/ops/src/failpoints/index.ts';
import { createLogger } from '../packages/ops/src/logging/index.ts';
import type { Runnable } from '../packages/ops/src/loops/index.ts';
import { createMetrics, type Metrics, opsCatalogue } from '../packages/ops/src/metrics/index.ts';
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
type Arm = (typeof arms)[number];
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
      await compareMetrics(bench, quick ? { rounds: 1, jobs: 4_000 } : { rounds: 8, jobs: 60_000 }, say),
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
  const rates: Record<Arm, number[]> = { bare: [], unrecorded: [], recorded: [] };
  for (const arm of arms) await measure(bench, arm, jobs);
  for (let round = 0; round < rounds; round += 1) {
    for (let step = 0; step < arms.length; step += 1) {
      const arm = arms[(step + round) % arms.length] as Arm;
      rates[arm].push(await measure(bench, arm, jobs));
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

/** Jobs of one turn. */
const turn = 1_000;

async function compareMetrics(bench: Bench, { rounds, jobs }: Size, say: Say): Promise<Figure> {
  const turns: Turns = { on: [], off: [] };
  for (let round = 0; round < rounds; round += 1) {
    await empty(bench);
    await fillUnrecorded(bench, jobs);
    await takeTurns(bench, jobs, turns);
  }
  const [on, off] = [medianOf(turns.on), medianOf(turns.off)];
  say(
    `${turns.on.length + turns.off.length} turns of ${turn} jobs: ${on.toFixed(1)} ms with metrics, ${off.toFixed(1)} without`,
  );
  return atLeast(0.99, { what: 'metrics on / metrics off, by CPU time', value: off / on, unit: 'ratio' });
}

/** CPU time of each turn, in ms. */
type Turns = Record<'on' | 'off', number[]>;

/** Leaves out the first turns of a worker, in which its code is compiled. */
async function takeTurns(bench: Bench, jobs: number, turns: Turns): Promise<void> {
  const switched = switchable(bench.metrics);
  let isOn = true;
  let completed = 0;
  let cpu = process.cpuUsage();
  const all = Promise.withResolvers<void>();
  const worker = openOurs(bench, 'unrecorded', switched.metrics, () => {
    completed += 1;
    if (completed % turn === 0) {
      const { user, system } = process.cpuUsage(cpu);
      if (completed > 4 * turn || jobs <= 4 * turn) turns[isOn ? 'on' : 'off'].push((user + system) / 1_000);
      switched.turn((isOn = !isOn));
      cpu = process.cpuUsage();
    }
    if (completed === jobs) all.resolve();
  });
  await worker.start();
  await all.promise;
  await worker.stop();
}

/** Metrics whose series do nothing while they are turned off. */
function switchable(metrics: Metrics): { metrics: Metrics; turn(on: boolean): void } {
  let isOn = true;
  const series = (real: Record<string, (value?: number) => void>) =>
    Object.fromEntries(
      ['inc', 'dec', 'set', 'observe'].map((act) => [act, (value?: number) => void (isOn && real[act]?.(value))]),
    );
  const instrument = (real: unknown) => ({
    labels: (values: unknown) => series((real as { labels(values: unknown): never }).labels(values)),
  });
  return {
    turn: (on) => (isOn = on),
    metrics: {
      ...metrics,
      counter: (key: never) => instrument(metrics.counter(key)),
      gauge: (key: never) => instrument(metrics.gauge(key)),
      histogram: (key: never) => instrument(metrics.histogram(key)),
    } as unknown as Metrics,
  };
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

/** Jobs a second of one arm, from the first start to the last verdict. */
async function measure(bench: Bench, arm: Arm, jobs: number): Promise<number> {
  await empty(bench);
  await (arm === 'recorded' ? fillRecorded(bench, jobs) : fillUnrecorded(bench, jobs));
  global.gc?.();
  return arm === 'bare' ? measureBare(bench, jobs) : measureOurs(bench, arm, jobs);
}

async function empty({ redis, db }: Bench): Promise<void> {
  await redis.flushall();
  await db.query(sql`truncate ops.job_run cascade`);
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

async function measureBare({ redisUrl, prefix }: Bench, jobs: number): Promise<number> {
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

async function measureOurs(bench: Bench, arm: Exclude<Arm, 'bare'>, jobs: number): Promise<number> {
  let completed = 0;
  const all = Promise.withResolvers<void>();
  const worker = openOurs(bench, arm, bench.metrics, () => void (++completed === jobs && all.resolve()));
  const seconds = await timed(async () => {
    await worker.start();
    await all.promise;
  });
  await worker.stop();
  return jobs / seconds;
}

function openOurs(
  { db, connect, prefix, log }: Bench,
  arm: Exclude<Arm, 'bare'>,
  metrics: Metrics,
  onCompleted: () => void,
): Runnable {
  return openWorker([{ queue: noop, concurrency, handler: async () => done }], {
    db,
    connect,
    log,
    prefix,
    metrics,
    version: 'bench',
    workerId: randomUUID(),
    lockMs: 30_000,
    failpoint: noFailpoints,
    stopWithinMs: 5_000,
    onCompleted,
    deaths: openDeathWriter({ log, metrics, write: async () => [] }),
    ...(arm !== 'recorded' && { runs: unrecordedRuns }),
  });
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1_000;
}
