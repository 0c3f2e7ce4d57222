import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import type { Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Failpoint } from '../failpoints/index.ts';
import type { Logger } from '../logging/index.ts';
import { type Loop, repeating, type Runnable } from '../loops/index.ts';
import type { Metrics } from '../metrics/index.ts';
import { type Database, sql } from '../postgres/index.ts';
import { openBullWorker } from './bullmq.ts';
import { openEnds } from './bullmq-end.ts';
import { Deadlines } from './deadlines.ts';
import type { DeathWriter } from './death.ts';
import type { QueueDefinition } from './definition.ts';
import { ShutdownAbort } from './failure.ts';
import type { JobHandler } from './handler.ts';
import { bindInstruments } from './instruments.ts';
import { Lane } from './lane.ts';
import { createProcess } from './process.ts';
import { openRunWriter, type RunWriter } from './run-writer.ts';
import { openSuspects } from './suspects.ts';

/** A queue and who works on it. */
export interface WorkerQueue {
  readonly queue: QueueDefinition;
  readonly handler: JobHandler;
  /** Attempts this process runs at once. */
  readonly concurrency: number;
}

export interface WorkerDeps {
  readonly db: Database;
  /** Makes a connection for BullMQ; the worker closes it. */
  readonly connect: () => Redis;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly prefix: string;
  readonly version: string;
  /** Id of this process; also the `worker` column of the runs it starts. */
  readonly workerId: string;
  /** A job whose lock was not renewed for this long is offered again, in ms. */
  readonly lockMs: number;
  readonly failpoint: Failpoint;
  readonly deaths: DeathWriter;
  /** How long `stop()` waits for attempts before it aborts them, in ms. */
  readonly stopWithinMs: number;
  /** Where runs are recorded. Default: group commit into `ops.job_run`. */
  readonly runs?: RunWriter;
  /** Told of each job that left its queue as completed. */
  readonly onCompleted?: () => void;
}

/** How often a worker says that it lives, in ms. */
const heartbeatMs = 5_000;
/** How often a worker asks whether Postgres is back, in ms. */
const probeMs = 500;
/** How long attempts under way may go on when the process stops while Redis is away, in ms. */
const awayGraceMs = 3_000;

/** Runs jobs of some queues. `stop()` finishes the attempts under way, then aborts what is left; none of them loses an attempt. */
export function openWorker(queues: readonly WorkerQueue[], deps: WorkerDeps): Runnable {
  return new QueueWorker(queues, deps);
}

class QueueWorker implements Runnable {
  readonly name = 'worker';
  readonly #queues: readonly WorkerQueue[];
  readonly #deps: WorkerDeps;
  readonly #runs: RunWriter;
  readonly #suspects = openSuspects();
  readonly #deadlines = new Deadlines();
  readonly #heartbeat: Loop;
  #workers: Worker[] = [];
  #connection: Redis | undefined;
  #stopped: Promise<void> | undefined;
  #probing = false;

  constructor(queues: readonly WorkerQueue[], deps: WorkerDeps) {
    this.#queues = queues;
    this.#deps = deps;
    this.#runs = deps.runs ?? openRunWriter(deps.db, deps.workerId);
    this.#heartbeat = repeating({
      name: 'worker-heartbeat',
      everyMs: heartbeatMs,
      runOnce: () => this.#beat(),
      onError: (error) => deps.log.error('loop_failed', error, { loop: 'worker-heartbeat' }),
    });
  }

  async start() {
    if (this.#workers.length > 0) return;
    const { connect, log } = this.#deps;
    await this.#beat();
    const connection = connect();
    this.#connection = connection;
    this.#workers = this.#queues.map((one) => this.#open(one, connection));
    await Promise.all(this.#workers.map((worker) => worker.waitUntilReady()));
    for (const worker of this.#workers)
      void worker.run().catch((error: unknown) => log.error('worker_error', error, { queue: worker.name }));
    await this.#heartbeat.start();
    log.info('worker_started', { queues: this.#queues.map(({ queue }) => queue.name) });
  }

  stop() {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  #open({ queue, handler, concurrency }: WorkerQueue, connection: Redis): Worker {
    const { db, log, metrics, prefix, lockMs, failpoint, deaths, workerId } = this.#deps;
    const instruments = bindInstruments(metrics, queue.name);
    instruments.concurrency(concurrency);
    const lane = new Lane({ concurrency, onWanted: (jobs) => void (worker.concurrency = jobs) });
    const process = createProcess(
      { queue, handler, instruments, lane },
      {
        db,
        log,
        workerId,
        deaths,
        end: openEnds(connection, `${prefix}:${queue.name}`),
        failpoint: (name) => failpoint(name, queue.name),
        runs: this.#runs,
        suspects: this.#suspects,
        deadlines: this.#deadlines,
        onInfrastructureFailure: () => void this.#pauseUntilBack(),
        random: Math.random,
      },
    );
    const worker = openBullWorker(queue.name, process, {
      connection,
      prefix,
      concurrency,
      lockMs,
      onError: (error) => log.warn('worker_error', { queue: queue.name, error }),
      onStalled: () => instruments.stalled(),
      onCompleted: this.#deps.onCompleted,
    });
    return worker;
  }

  /** Stops fetching until Postgres answers: without it, every start would only be put back. */
  async #pauseUntilBack() {
    if (this.#probing || this.#stopped) return;
    this.#probing = true;
    const workers = this.#workers;
    await Promise.allSettled(workers.map((worker) => worker.pause(true)));
    const probe = repeating({
      name: 'postgres-probe',
      everyMs: probeMs,
      pauseAfterErrorMs: probeMs,
      onError: () => {},
      runOnce: async () => {
        if (this.#stopped) return { more: false };
        await this.#deps.db.query(sql`select 1`);
        this.#probing = false;
        for (const worker of workers) void worker.resume();
        void probe.stop();
        return { more: false };
      },
    });
    await probe.start();
  }

  async #beat() {
    const { db, workerId, version, metrics } = this.#deps;
    await db.query(sql`
      insert into ops.worker as w (id, host, pid, version, queues)
      values (${workerId}, ${hostname()}, ${process.pid}, ${version}, ${this.#queues.map(({ queue }) => queue.name)}::text[])
      on conflict (id) do update set last_seen_at = clock_timestamp(), stopped_at = null`);
    if (this.#workers.every((worker) => worker.isRunning())) {
      metrics
        .gauge('worker_last_tick_timestamp_seconds')
        .labels({ worker: 'worker' })
        .set(Date.now() / 1_000);
    }
    return { more: false };
  }

  async #stop() {
    const { db, log, workerId, stopWithinMs } = this.#deps;
    await this.#heartbeat.stop();
    const closing = Promise.allSettled(this.#workers.map((worker) => worker.close()));
    const abortAll = () => this.#deadlines.endAll(new ShutdownAbort('the process is stopping'));
    const abort = setTimeout(abortAll, stopWithinMs);
    // BullMQ closes only a connection that stands, and would wait for Redis for ever.
    const isAway = this.#connection?.status !== 'ready';
    await (isAway ? Promise.race([closing, wait(awayGraceMs, undefined, { ref: false })]) : closing);
    clearTimeout(abort);
    this.#deadlines.stop();
    if (isAway) abortAll();
    await Promise.all([this.#runs.flush(), this.#deps.deaths.flush()]);
    await db.query(sql`update ops.worker set stopped_at = clock_timestamp() where id = ${workerId}`).catch(() => {});
    this.#connection?.disconnect();
    log.info('worker_stopped', {});
  }
}
