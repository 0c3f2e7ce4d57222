import { openOps, opsMigrations, type Handlers, type Ops, type OpsOptions } from '../ops.ts';
import { createLogger, type Logger } from '../logging/index.ts';
import { createMetrics, type Metrics, opsCatalogue } from '../metrics/index.ts';
import type { Runnable } from '../loops/index.ts';
import { type Database, openDatabase, openMigrator } from '../postgres/index.ts';
import type { QueueDefinition } from '../queues/index.ts';
import { createTestDatabase, templateDatabase } from './database.ts';
import { testPrefix } from './prefix.ts';

export interface TestPlaneOptions extends Partial<OpsOptions> {
  /** Of a Postgres whose user may create databases. */
  readonly adminUrl: string;
  readonly redisUrl: string;
  readonly queues: readonly QueueDefinition[];
}

/** A whole operations plane on a database and a key prefix of its own, with short times. */
export interface TestPlane extends Ops {
  readonly db: Database;
  readonly databaseUrl: string;
  readonly prefix: string;
  readonly metrics: Metrics;
  /** Log lines, parsed, oldest first. */
  readonly lines: Record<string, unknown>[];
  readonly log: Logger;
  /** Starts a worker, a relay and a scheduler; they stop with the plane. */
  run(handlers: Handlers): Promise<void>;
  /** Starts one more part; it stops with the plane. */
  start(part: Runnable): Promise<void>;
  /** Stops what runs and removes the database. */
  close(): Promise<void>;
}

export async function openTestPlane(options: TestPlaneOptions): Promise<TestPlane> {
  const { adminUrl, queues } = options;
  const template = await templateDatabase({ adminUrl, name: 'ops_template', prepare: migrate });
  const database = await createTestDatabase({ adminUrl, template });
  const db = openDatabase({ url: database.url, poolSize: 20 });
  const prefix = testPrefix();
  const names = queues.map(({ name }) => name);
  const build = { version: 'test', commit: 'test' };
  const metrics = createMetrics({ enabled: true, catalogue: opsCatalogue(), queues: names, ...build });
  const lines: Record<string, unknown>[] = [];
  const log = openTestLog((line) => void lines.push(JSON.parse(line) as Record<string, unknown>));
  const ops = openOps({ log, metrics, prefix, authorize: () => undefined, ...shortTimes, ...options, db });
  const running: Runnable[] = [];
  const start = async (part: Runnable) => {
    running.push(part);
    await part.start();
  };
  return {
    ...ops,
    db,
    prefix,
    metrics,
    lines,
    log,
    start,
    databaseUrl: database.url,
    async run(handlers) {
      for (const part of [ops.worker(handlers), ops.relay(), ops.scheduler()]) await start(part);
    },
    async close() {
      await Promise.all(running.map((part) => part.stop()));
      await ops.close();
      await db.close();
      await database.drop();
    },
  };
}

const shortTimes = {
  jobLockMs: 1_000,
  reconcileAfterMs: 200,
  reconcileEveryMs: 200,
  dispatchPollMs: 20,
  sweepEveryMs: 100,
  stopWithinMs: 2_000,
  probeEveryMs: 0,
};

async function migrate(url: string): Promise<void> {
  await openMigrator({ url, sets: [opsMigrations] }).up();
}

function openTestLog(write: (line: string) => void): Logger {
  const names = { service: 'test', version: 'test', instance: 'test', bootId: 'test-boot' };
  return createLogger({ level: 'debug', format: 'json', ...names, sampleRate: 1, destination: { write } });
}
