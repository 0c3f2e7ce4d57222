/** A marketplace's database, and its sales as a worker makes them: the sale and the verdict of its job in one transaction. */
import { openSync, writeSync } from 'node:fs';
import { readConfig } from '../apps/marketplace/src/config.ts';
import {
  distributeLead,
  type Distribution,
  type DistributionDeps,
  probes,
} from '../apps/marketplace/src/features/distribution/index.ts';
import { bindProductMetrics } from '../apps/marketplace/src/metrics.ts';
import { openTelemetry } from '../apps/marketplace/src/telemetry.ts';
import { findBreaches } from '../packages/ops/src/doctor/index.ts';
import { noFailpoints } from '../packages/ops/src/failpoints/index.ts';
import { type Database, openDatabase, sql } from '../packages/ops/src/postgres/index.ts';
import { commitWithVerdict } from '../packages/ops/src/queues/commit.ts';

export interface Market {
  readonly db: Database;
  readonly deps: DistributionDeps;
  /** Subscriptions that each sale so far read in the order. */
  readonly examined: number[];
}

/** Metrics and a log as in production; the log goes to /dev/null. */
export function openMarket(url: string, connections: number): Market {
  const sink = openSync('/dev/null', 'w');
  const logTo = { write: (line: string) => writeSync(sink, line) };
  const { log, metrics } = openTelemetry(readConfig({}), { role: 'worker', logTo });
  const examined: number[] = [];
  const distributionCandidates = { observe: (count: number) => void examined.push(count) };
  return {
    db: openDatabase({ url, poolSize: connections, statementTimeoutMs: 0 }),
    deps: { metrics: { ...bindProductMetrics(metrics), distributionCandidates }, log, now: () => new Date() },
    examined,
  };
}

/** One sale with all that a worker's commit has: the verdict of the job, and tries in place after a lock conflict. */
export function sell({ db, deps }: Pick<Market, 'db' | 'deps'>, leadId: string): Promise<Distribution> {
  return commitWithVerdict((tx) => distributeLead(tx, { leadId, saleNo: 1, attempt: 1 }, deps), {
    db,
    runKey: `distribute-${leadId}-1`,
    started: 1,
    failpoint: noFailpoints,
  });
}

/** A database beside the given one, as a copy of it. Nobody may be connected to that one. */
export async function copyDatabase(url: string, name: string): Promise<string> {
  const [admin, copy] = [new URL(url), new URL(url)];
  admin.pathname = '/postgres';
  copy.pathname = `/${name}`;
  const db = openDatabase({ url: admin.href, poolSize: 1, statementTimeoutMs: 0 });
  const original = new URL(url).pathname.slice(1);
  await db.query({ name: '', text: `create database ${name} template ${original} strategy file_copy`, values: [] });
  await db.close();
  return copy.href;
}

/** Rows that break an invariant of sales and money. */
export async function countBroken(db: Database): Promise<number> {
  let broken = 0;
  for (const probe of probes) broken += (await findBreaches(db, probe)).count;
  return broken;
}

/** Assignments, runs and active subscriptions, to be told beside the figures. */
export async function countRows(db: Database) {
  const { rows } = await db.query<{ assignments: number; subscriptions: number; areas: number; hot: number }>(sql`
    select (select count(*) from assignment) as assignments, (select count(*) from subscription) as subscriptions,
           (select count(*) from subscription_area) as areas,
           (select count(*) from subscription where status = 'active' and level_id = md5('level-1-3')::uuid) as hot`);
  return rows[0] ?? { assignments: 0, subscriptions: 0, areas: 0, hot: 0 };
}
