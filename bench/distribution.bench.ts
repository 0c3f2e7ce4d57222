/**
 * What the sale of a lead takes: p95 in markets of 1,000 to 100,000 providers, in a hot niche, and against the same SQL sent by bare pg.
 *
 * The last is told in `distribution-pair.ts`, the markets in `distribution-world.ts`. The rest:
 * Four loops in this one process, each with a connection of its own, sell leads that wait in the database, arriving by Zipf over twenty
 * niches. A sale is all that a worker commits: `distributeLead` and the verdict of its job; its time runs from before BEGIN to behind
 * COMMIT, tries after a lock conflict included. Measured in the steady state: first as many leads are sold as there are tenths of
 * providers (10,000 in the largest market), until the narrow subscriptions have gathered at the head of the order.
 */
import { migrationSets } from '../apps/marketplace/src/migrations.ts';
import { openMigrator, sql } from '../packages/ops/src/postgres/index.ts';
import { copyDatabase, countBroken, countRows, type Market, openMarket, sell } from './distribution-market.ts';
import { comparePair } from './distribution-pair.ts';
import { addLeads, buildWorld, hotNiche, sizeOf } from './distribution-world.ts';
import { below, type Figure, type RunOptions } from './report.ts';
import { startServers } from './servers.ts';

export const about = 'sales of leads at 4 connections, and against the same SQL sent by bare pg';

const connections = 4;

interface Sales {
  /** Milliseconds of each that did not fail, in ascending order. */
  readonly ms: readonly number[];
  readonly seconds: number;
  readonly failed: number;
  /** 95th percentile of the subscriptions read for one. */
  readonly examinedP95: number;
}

interface Scale {
  readonly providers: number;
  readonly sales: Sales;
  readonly hot: Sales;
  readonly alone: Sales;
  readonly failed: number;
  readonly broken: number;
}

export async function run({ quick, say }: RunOptions): Promise<Figure[]> {
  const servers = await startServers();
  try {
    await openMigrator({ url: servers.databaseUrl, sets: migrationSets }).up();
    const pair = quick
      ? { providers: 500, rounds: 2, salesARound: 20 }
      : { providers: 1_000, rounds: 7, salesARound: 60 };
    const ratio = await comparePair(servers.databaseUrl, { ...pair, say });
    const scales: Scale[] = [];
    for (const providers of quick ? [500, 2_000] : [1_000, 10_000, 100_000])
      scales.push(await measureScale(servers.databaseUrl, { providers, sales: quick ? 100 : 1_500, say }));
    return [...figuresOf(scales), ...ratio];
  } finally {
    await servers.stop();
  }
}

async function measureScale(
  emptyUrl: string,
  { providers, sales, say }: { providers: number; sales: number; say: RunOptions['say'] },
): Promise<Scale> {
  const market = openMarket(await copyDatabase(emptyUrl, `market_${providers}`), connections);
  const { db } = market;
  const startedAt = performance.now();
  await buildWorld(db, sizeOf(providers));
  const { subscriptions, areas, hot } = await countRows(db);
  const size = `${count(subscriptions)} subscriptions in ${count(areas)} areas, ${count(hot)} active ones at the hot level`;
  say(`${count(providers)} providers, ${size}: built in ${secondsSince(startedAt)} s`);
  // A small market has money for so many sales only.
  const measured = Math.min(sales, Math.floor(providers / 4));
  const phase = async (
    name: string,
    leads: number,
    { niche, workers = connections }: { niche?: number; workers?: number } = {},
  ) => {
    const ids = await addLeads(db, { count: leads, ...(niche && { niche }) });
    const done = await sellAll(market, ids, workers);
    say(`  ${name}: ${toldOf(done)}`);
    return done;
  };
  const warm = await phase('until steady', providers / 10);
  // What autovacuum has done by then in a market that sells so many leads in hours, not in a minute.
  await db.query(sql`vacuum (analyze)`);
  await db.query(sql`checkpoint`);
  const all = await phase('4 connections', measured);
  const alone = await phase('1 connection', Math.ceil(measured / 5), { workers: 1 });
  const hotSales = await phase('hot niche', Math.ceil(measured / 3), { niche: hotNiche });
  const broken = await countBroken(db);
  await db.close();
  const failed = [warm, all, alone, hotSales].reduce((sum, each) => sum + each.failed, 0);
  return { providers, sales: all, alone, hot: hotSales, failed, broken };
}

async function sellAll(market: Market, leadIds: readonly string[], workers: number): Promise<Sales> {
  const ms: number[] = [];
  let failed = 0;
  market.examined.length = 0;
  const waiting = leadIds.values();
  const work = async () => {
    for (const leadId of waiting) {
      const startedAt = performance.now();
      const done = await sell(market, leadId).catch(tellFailure);
      if (done === undefined || done.outcome === 'noop') failed += 1;
      else ms.push(performance.now() - startedAt);
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: workers }, work));
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    ms: ms.toSorted(ascending),
    seconds,
    failed,
    examinedP95: percentile(market.examined.toSorted(ascending), 95),
  };
}

function tellFailure(error: unknown): undefined {
  console.error(`a sale failed: ${error instanceof Error ? error.message : String(error)}`);
}

const ascending = (one: number, other: number) => one - other;

function percentile(sorted: readonly number[], of: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * of) / 100))] ?? Number.NaN;
}

const count = (value: number) => value.toLocaleString('en-US');

const secondsSince = (startedAt: number) => ((performance.now() - startedAt) / 1_000).toFixed(1);

function toldOf({ ms, seconds, examinedP95 }: Sales): string {
  const [p50, p95, p99] = [50, 95, 99].map((of) => percentile(ms, of).toFixed(1));
  return `${ms.length} sales, p50 ${p50} ms, p95 ${p95}, p99 ${p99}; ${(ms.length / seconds).toFixed(0)}/s; read ${examinedP95} at p95`;
}

function figuresOf(scales: readonly Scale[]): Figure[] {
  const largest = scales.at(-1);
  if (!largest) return [];
  const p95 = ({ ms }: Sales) => percentile(ms, 95);
  const at = ({ providers }: Scale) => `${count(providers)} providers`;
  const reported = (what: string, value: number, unit = 'ms') => ({ what, value, unit, target: '', ok: true });
  const none = (what: string, value: number, unit: string) => ({ what, value, unit, target: '= 0', ok: value === 0 });
  const total = (of: 'failed' | 'broken') => scales.reduce((sum, scale) => sum + scale[of], 0);
  // A short run has no market of the size that the bounds are for.
  const within = (bound: number, what: string, value: number) =>
    largest.providers >= 100_000 ? below(bound, { what, value, unit: 'ms' }) : reported(what, value);
  return [
    ...scales.slice(0, -1).map((scale) => reported(`p95 of a sale, 4 connections, ${at(scale)}`, p95(scale.sales))),
    within(50, `p95 of a sale, 4 connections, ${at(largest)}`, p95(largest.sales)),
    reported(`median of a sale, 4 connections, ${at(largest)}`, percentile(largest.sales.ms, 50)),
    reported('sales a second, 4 connections', largest.sales.ms.length / largest.sales.seconds, 'sales/s'),
    reported('subscriptions read for a sale, p95', largest.sales.examinedP95, 'rows'),
    reported(`p95 of a sale, 1 connection, ${at(largest)}`, p95(largest.alone)),
    within(150, `p95, 4 connections, all leads of the hot niche, ${at(largest)}`, p95(largest.hot)),
    none('sales that failed', total('failed'), 'sales'),
    none('rows that break an invariant', total('broken'), 'rows'),
  ];
}
