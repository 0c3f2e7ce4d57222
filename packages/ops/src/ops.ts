import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { type AuditKey, type Denials, openAnchorer, openAnchorStore, openDenials, openLinker } from './audit/index.ts';
import { openSnoozeWaker } from './dead-letter-groups/index.ts';
import { openProbe, watchProof } from './dead-letter-report/index.ts';
import { openBurial, openFold, openSweeper, retainLetters, sweepAll } from './dead-letters/index.ts';
import {
  type Doctor,
  type Invariant,
  type InvariantText,
  openDoctor,
  type Part,
  watchInvariants,
} from './doctor/index.ts';
import { type Failpoint, noFailpoints } from './failpoints/index.ts';
import { createHealth, type Health } from './health/index.ts';
import { adminRoutes, type AuditProof, type Authorize } from './http/index.ts';
import { type Lease, openLease } from './leases/index.ts';
import { createLogger, type Logger } from './logging/index.ts';
import { type Runnable, together } from './loops/index.ts';
import { createMetrics, type Metrics, opsCatalogue } from './metrics/index.ts';
import { type Database, type MigrationSet, openMigrator, sql } from './postgres/index.ts';
import { openQueueWishes } from './queue-control/index.ts';
import { openRedriveEngine, type RedriveSettings } from './redrives/index.ts';
import {
  cached,
  createRegistry,
  openAttemptCounts,
  type JobHandler,
  openDeathWriter,
  openFailedSets,
  type DeathHooks,
  openDispatcher,
  openReconciler,
  openRedisQueues,
  openRetention,
  openWorker,
  type QueueDefinition,
  type QueueOverview,
  type QueueRegistry,
  type RedisQueues,
  readOverview,
  watchStocks,
} from './queues/index.ts';
import { connectRedis, withDeadline, workerConnection } from './redis/index.ts';
import { retainRows } from './retention.ts';
import { openSchedules, type ScheduleDefinition, type Schedules } from './schedules/index.ts';

export interface OpsOptions {
  /** The application's own pool; the plane keeps its tables in schema `ops` of the same database. */
  readonly db: Database;
  /** `redis://…` or the path of a unix socket. It must run with `maxmemory-policy noeviction`. */
  readonly redisUrl: string;
  /** Default: JSON lines on standard output, under the service name `app`. */
  readonly log?: Logger;
  /** Default: the plane's own catalogue under the prefix `fmhl_`. A host with metrics of its own gives both in one. */
  readonly metrics?: Metrics;
  /** Every queue of the application. */
  readonly queues: readonly QueueDefinition[];
  /**
   * What runs by the clock, see {@link defineSchedule}. With any of them {@link schedulerQueue} is one of `queues`. The scheduler records
   * fire times, workers run what they ask for. Default none.
   */
  readonly schedules?: readonly ScheduleDefinition[];
  /** Pause between two looks of the scheduler at the clock, in ms. Default 1,000. */
  readonly scheduleEveryMs?: number;
  /** Who is asking; undefined is a refusal. */
  readonly authorize: Authorize;
  /** Version of the application, stored with each worker. Default `0.0.0`. */
  readonly version?: string;
  /** What kind of installation this is, as `GET /me` says it: `production`, `staging`, … Default `development`. */
  readonly environment?: string;
  /** First part of every Redis key, in braces so that a cluster keeps it on one node. Default `{ops}`. */
  readonly prefix?: string;
  /** A job whose lock was not renewed for this long is offered again, in ms. Default 30,000. */
  readonly jobLockMs?: number;
  /** The reconciler leaves younger hand-overs alone, in ms. Default 60,000. */
  readonly reconcileAfterMs?: number;
  /** Pause between two passes of the reconciler, in ms. Default 60,000. */
  readonly reconcileEveryMs?: number;
  /** Another process takes over the work of one that fell silent, where one at a time should do it, after this time in ms. Default 15,000. */
  readonly leaseMs?: number;
  /** The dispatcher looks at the outbox this often while nothing wakes it, in ms. Default 100. */
  readonly dispatchPollMs?: number;
  /** A queue with so many jobs waiting in Redis gets no more: the rest waits in Postgres, where a full Redis cannot lose it. Default 10,000. */
  readonly mostWaiting?: number;
  /** How long `stop()` of a worker waits for its attempts before it aborts them, in ms. Default 25,000. */
  readonly stopWithinMs?: number;
  /** Pause between two looks into the failed sets of Redis, in ms. Default 3,000. */
  readonly sweepEveryMs?: number;
  /** Between two probes of a queue, jobs that die on purpose to show that deaths are captured, in ms; 0 for none. Default 3,600,000. */
  readonly probeEveryMs?: number;
  /**
   * Who removes rows after their time: a `loop` of the scheduler, or the `host`, which runs {@link Ops.retainRows} as a schedule. Default
   * `loop`.
   */
  readonly retention?: 'loop' | 'host';
  /** How redrives plan and run. Every setting has a default. */
  readonly redrives?: RedriveSettings;
  /**
   * Keys under which the audit chain is sealed, the current one first, then those before it. Without one the chain is of plain hashes:
   * whoever may write the tables can then write it anew, and only the anchor tells. Give it from the first day on. Default none.
   */
  readonly auditKeys?: readonly AuditKey[];
  /** A file or an https URL outside the database, to which a scheduler writes the head of the audit chain. Default none. */
  readonly auditAnchor?: string | undefined;
  /** Age of the last anchor at which the next one is due, in ms. Default 3,600,000. */
  readonly auditAnchorEveryMs?: number;
  /** Pause between two looks for rows of the audit log that wait for their link, in ms. Default 500. */
  readonly auditLinkEveryMs?: number;
  /** What must always be true of the application's own tables: the doctor asks them beside the plane's. Default none. */
  readonly invariants?: readonly Invariant[];
  /** More parts of the application's system that the doctor looks at. Default none. */
  readonly parts?: readonly Part[];
  /** What this version wants applied, for the doctor to compare. Default the plane's own migrations. */
  readonly migrationSets?: readonly MigrationSet[];
  /**
   * By queue: called in the transaction that buries its runs and captures their letters. Deaths of a queue without one take a single statement.
   * That of the schedules' queue is the plane's own.
   */
  readonly onDeaths?: DeathHooks;
  /** For tests: stops the plane at a named point. Default none. */
  readonly failpoint?: Failpoint;
}

/** Handlers by queue name. A queue without one is not worked on by this process. */
export type Handlers = Readonly<
  Record<string, JobHandler<never> | { handler: JobHandler<never>; concurrency: number }>
>;

/** The operations plane of one process. Roles run what they need of it. */
export interface Ops {
  readonly registry: QueueRegistry;
  readonly health: Health;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** As given: with `log` and `metrics` it makes `ops` the options of {@link web} for the host's own routes. */
  readonly authorize: Authorize;
  /** Keeps who was refused what in the audit log; like `authorize`, an option of {@link web}. */
  readonly denials: Denials;
  /** Brings the plane's tables to this version. Safe from several processes at once. A host with migrations of its own puts `opsMigrations` first in its list. */
  migrate(): Promise<void>;
  /** The admin API as a Fastify plugin: `app.register(ops.http, { prefix: '/api/v1/admin' })`. */
  readonly http: (app: FastifyInstance) => Promise<void>;
  /** Runs jobs. Default concurrency 4 a queue. */
  worker(handlers: Handlers): Runnable;
  /** Hands committed jobs to Redis. */
  relay(): Runnable;
  /** Repairs what Postgres and Redis disagree on, and removes rows after their time. */
  scheduler(): Runnable;
  /**
   * Removes dead letters closed 30 days ago or earlier, in short batches, and what is kept about them after its time. Run it as a schedule
   * called `dlq-cleanup` with the audit action `dlq.retention_ran`, once a week or more often. Answers `deleted`, of which
   * `deleted.<queue>`; `held`, closed as long ago and kept; `open_over_30_days`. A signal stops it after the batch under way.
   */
  retainDeadLetters(signal?: AbortSignal): Promise<Record<string, number>>;
  /** Removes rows of every other table after their time, see {@link opsTables}. Answers how many went, by table. */
  retainRows(signal?: AbortSignal): Promise<Record<string, number>>;
  /**
   * The queues as an operator sees them; one computation for all callers. An answer is kept for 2 s; after that it is given until the next
   * one is there, but at most for 10 s: `as_of` says how old it is.
   */
  overview(): Promise<QueueOverview>;
  /** Every invariant that the doctor asks: the application's, then the plane's. */
  readonly invariants: readonly InvariantText[];
  /** Looks at the invariants and stores what was found, for metrics and the next look: what a schedule runs. Throws when Postgres is away. */
  runInvariants: Doctor['runInvariants'];
  /** Writes what is held back of denials, and closes the connections to Redis. The database is the application's to close. */
  close(): Promise<void>;
}

/** The plane's own migrations: the first set to give to `openMigrator`. */
export const opsMigrations: MigrationSet = {
  name: 'ops',
  directory: fileURLToPath(new URL('../migrations', import.meta.url)),
};

/** Waiting jobs above which the check `queue` says `degraded`. */
const deepQueue = 100;

/** One computation for all callers. Nobody is told what is older: who has just mended something looks whether it helped. */
const overviewCache = { ttlMs: 2_000 };

/** Builds the plane. Connects lazily: an absent Redis shows in health, it does not stop the start. */
export function openOps(options: OpsOptions): Ops {
  const { db, prefix = '{ops}', version = '0.0.0', failpoint = noFailpoints, authorize } = options;
  const processId = randomUUID();
  const registry = createRegistry(options.queues);
  const log = options.log ?? defaultLog(version, processId);
  const metrics = options.metrics ?? defaultMetrics(version, registry);
  const onError = (error: Error) => log.warn('redis_error', { error });
  const connection = { url: options.redisUrl, onError };
  const redis = connectRedis(connection);
  const queues = openRedisQueues(redis, registry, prefix);
  const overview = cached(overviewCache, () => readOverview(db, queues, registry, () => new Date()));
  const health = openHealth({ db, redis, registry, queues, overview, log, metrics });
  watchStocks({ db, redis, metrics, registry, overview });
  const { schedules = [], scheduleEveryMs: everyMs = 1_000 } = options;
  const timetable = openSchedules({ db, log, metrics, registry, schedules, failpoint, everyMs });
  const deathHooks = { ...options.onDeaths, ...timetable.deathHooks };
  const write = openBurial({ db, workerId: processId, hooks: deathHooks });
  const deaths = openDeathWriter({ log, metrics, write });
  const common = { db, queues, registry, log, metrics, failpoint, deaths, workerId: processId };
  const sweeping = { ...common, failedSets: openFailedSets(redis, prefix) };
  const sweep = () => sweepAll(sweeping, AbortSignal.timeout(60_000));
  watchProof(sweeping);
  watchInvariants({ db, metrics });
  const denials = openDenials({ db, log });
  const web = { log, metrics, authorize, denials };
  const anchors = options.auditAnchor === undefined ? undefined : openAnchorStore(options.auditAnchor);
  const audit = { keys: options.auditKeys ?? [], anchors };
  const doctor = openOpsDoctor({ ...sweeping, redis, overview, ...audit }, options);
  return {
    registry,
    health,
    log,
    metrics,
    authorize,
    denials,
    overview,
    invariants: doctor.checks,
    runInvariants: (asked) => doctor.runInvariants(asked),
    migrate: async () => void (await openMigrator({ url: db.url, sets: [opsMigrations] }).up()),
    http: adminRoutes({ ...options, ...sweeping, deathHooks, schedules, sweep, overview, audit, doctor, web }),
    worker: (handlers) =>
      openWorkers({ ...timetable.handlers, ...handlers }, { ...common, prefix, version, connection }, options),
    relay: () =>
      openDispatcher({ ...common, redis, pollMs: options.dispatchPollMs ?? 100, mostWaiting: options.mostWaiting }),
    scheduler: () => openScheduler({ ...sweeping, timetable }, options),
    retainDeadLetters: (signal = new AbortController().signal) => retainLetters(db, signal),
    retainRows: (signal = new AbortController().signal) => retainRows(db, signal),
    async close() {
      await denials.close();
      await queues.close();
      redis.disconnect();
    },
  };
}

type Parts = Parameters<typeof openSweeper>[0] & { queues: RedisQueues; workerId: string; timetable: Schedules };

/** All that one process at a time should do, each part on a lease of its own. */
function openScheduler(parts: Omit<Parts, 'lease' | 'everyMs'>, options: OpsOptions): Runnable {
  const { db, log, workerId } = parts;
  const { probeEveryMs = 3_600_000, redrives = {}, leaseMs } = options;
  const lease = (name: string) =>
    openLease(db, { name, holder: workerId, ...(leaseMs !== undefined && { ttlMs: leaseMs }) });
  return together('scheduler', [
    openReconciler({
      ...parts,
      lease: lease('reconciler'),
      graceMs: options.reconcileAfterMs ?? 60_000,
      everyMs: options.reconcileEveryMs ?? 60_000,
    }),
    ...(options.retention === 'host'
      ? []
      : [openRetention({ log, retain: (signal) => retainRows(db, signal), lease: lease('retention') })]),
    openQueueWishes({ ...parts, lease: lease('queue-wishes') }),
    openSweeper({ ...parts, lease: lease('dead-letter-sweeper'), everyMs: options.sweepEveryMs ?? 3_000 }),
    ...(parts.timetable.definitions.length > 0 ? [parts.timetable.scheduler(lease('schedules'))] : []),
    openFold({ db, log }),
    openRedriveEngine({ ...parts, ...redrives, host: redrives, lease: lease('redrives') }),
    openSnoozeWaker({ db, log, lease: lease('snooze-waker') }),
    ...auditParts(parts, options, lease),
    ...(probeEveryMs > 0 ? [openProbe({ ...parts, lease: lease('capture-probe'), everyMs: probeEveryMs })] : []),
  ]);
}

/** Gives rows of the audit log their places in the chain, and keeps its head elsewhere. */
function auditParts(
  { db, log, metrics }: Pick<Parts, 'db' | 'log' | 'metrics'>,
  { auditKeys = [], auditAnchor, auditAnchorEveryMs = 3_600_000, auditLinkEveryMs = 500 }: OpsOptions,
  lease: (name: string) => Lease,
): Runnable[] {
  const linker = openLinker({
    db,
    log,
    metrics,
    keys: auditKeys,
    lease: lease('audit-linker'),
    everyMs: auditLinkEveryMs,
  });
  if (auditAnchor === undefined) return [linker];
  const store = openAnchorStore(auditAnchor);
  return [linker, openAnchorer({ db, log, metrics, store, lease: lease('audit-anchor'), everyMs: auditAnchorEveryMs })];
}

type DoctorParts = Pick<Parts, 'db' | 'log' | 'registry' | 'queues' | 'failedSets'> &
  AuditProof &
  Pick<HealthParts, 'redis' | 'overview'>;

function openOpsDoctor({ keys, ...parts }: DoctorParts, options: OpsOptions): Doctor {
  const { reconcileAfterMs = 60_000, reconcileEveryMs = 60_000, auditAnchorEveryMs = 3_600_000 } = options;
  return openDoctor({
    ...parts,
    auditKeys: keys,
    anchorEveryMs: auditAnchorEveryMs,
    schedules: options.schedules ?? [],
    invariants: options.invariants ?? [],
    parts: options.parts ?? [],
    migrationSets: options.migrationSets ?? [opsMigrations],
    settledAfterMs: reconcileAfterMs + 2 * reconcileEveryMs,
  });
}

interface HealthParts {
  readonly db: Database;
  readonly redis: ReturnType<typeof connectRedis>;
  readonly registry: QueueRegistry;
  readonly queues: RedisQueues;
  readonly overview: Ops['overview'];
  readonly log: Logger;
  readonly metrics: Metrics;
}

function openHealth({ db, redis, registry, queues, overview, log, metrics }: HealthParts): Health {
  return createHealth({
    metrics,
    onChange: (change) => log.warn('health_check_changed', { ...change }),
    checks: {
      database: async () => void (await db.query(sql`select 1`)),
      redis: async () => void (await withDeadline(redis.ping(), 900, 'PING')),
      queue: () => checkQueues(registry, queues, overview),
    },
  });
}

/** Asks Redis alone while little waits; how old the oldest is costs a question to Postgres. */
async function checkQueues(registry: QueueRegistry, queues: RedisQueues, overview: Ops['overview']) {
  const counts = await Promise.all(registry.names.map((name) => queues.counts(name)));
  const depth = counts.reduce((sum, { waiting }) => sum + waiting, 0);
  if (depth <= deepQueue) return { depth };
  const oldest = Math.max(...(await overview()).queues.map((queue) => queue.oldest_job_age_s ?? 0));
  return { depth, oldest_age_s: Math.round(oldest), degraded: true };
}

function defaultLog(version: string, processId: string): Logger {
  return createLogger({
    level: 'info',
    format: 'json',
    service: 'app',
    version,
    instance: hostname(),
    bootId: processId,
  });
}

function defaultMetrics(version: string, { names }: QueueRegistry): Metrics {
  return createMetrics({ enabled: true, catalogue: opsCatalogue(), queues: names, version, commit: 'unknown' });
}

type WorkerParts = Omit<Parameters<typeof openWorker>[1], 'connect' | 'lockMs' | 'stopWithinMs'> & {
  readonly connection: Parameters<typeof workerConnection>[0];
};

function openWorkers(
  handlers: Handlers,
  { connection, ...parts }: WorkerParts & { registry: QueueRegistry },
  options: OpsOptions,
): Runnable {
  const { jobLockMs: lockMs = 30_000, stopWithinMs = 25_000 } = options;
  const worked = workerQueues(parts.registry, handlers);
  return together('worker', [
    openAttemptCounts({ ...parts, queues: worked.map(({ queue }) => queue.name) }),
    openWorker(worked, { ...parts, connect: () => workerConnection(connection), lockMs, stopWithinMs }),
  ]);
}

function workerQueues(registry: QueueRegistry, handlers: Handlers) {
  return Object.entries(handlers).map(([name, given]) => {
    const queue = registry.get(registry.resolve(name) ?? '');
    if (!queue)
      throw new TypeError(`a handler for "${name}", which is no queue; there are ${registry.names.join(', ')}`);
    const { handler, concurrency } = typeof given === 'function' ? { handler: given, concurrency: 4 } : given;
    // The payload was checked against the kind's schema, so the handler gets what its type says.
    return { queue, handler: handler as JobHandler, concurrency };
  });
}
