/**
 * What the schedules of money take in a large market: waking 100,000 subscriptions at once beside sales, and comparing 2,000,000 entries.
 *
 * One process, as a worker is one: while the run wakes what sleeps, leads are sold at a steady pace by four connections of their own, and
 * each is timed from the moment it was due. The market is that of the benchmark `distribution`.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { reconcileBalances } from '../apps/marketplace/src/features/billing/index.ts';
import { reactivateSubscriptions } from '../apps/marketplace/src/features/subscriptions/index.ts';
import { migrationSets } from '../apps/marketplace/src/migrations.ts';
import { runWithContext } from '../packages/ops/src/logging/index.ts';
import { type Database, openMigrator, sql } from '../packages/ops/src/postgres/index.ts';
import { countBroken, type Market, openMarket, sell } from './distribution-market.ts';
import { addLeads, buildWorld, sizeOf } from './distribution-world.ts';
import { below, type Figure, medianOf, type RunOptions } from './report.ts';
import { driftSome, lengthenLedger, putToSleep } from './schedules-world.ts';
import { startServers } from './servers.ts';

export const about = 'waking 100,000 subscriptions beside sales, and comparing 100,000 balances with 2,000,000 entries';

const connections = 4;
const salesASecond = 20;
const fullSize = { providers: 100_000, asleep: 100_000, entriesMore: 19 };
const quickSize = { providers: 2_000, asleep: 2_000, entriesMore: 19 };

export async function run({ quick, say }: RunOptions): Promise<Figure[]> {
  const size = quick ? quickSize : fullSize;
  const servers = await startServers();
  try {
    await openMigrator({ url: servers.databaseUrl, sets: migrationSets }).up();
    const market = openMarket(servers.databaseUrl, connections + 2);
    const startedAt = performance.now();
    await buildWorld(market.db, sizeOf(size.providers));
    say(`${count(size.providers)} providers: built in ${secondsSince(startedAt)} s`);
    const woken = await measureReactivation(market, { ...size, say });
    const compared = await measureReconciliation(market, { ...size, say });
    await market.db.close();
    return quick ? [...woken, ...compared].map(unbounded) : [...woken, ...compared];
  } finally {
    await servers.stop();
  }
}

type Say = RunOptions['say'];

async function measureReactivation(market: Market, { asleep, say }: { asleep: number; say: Say }): Promise<Figure[]> {
  const leads = await addLeads(market.db, { count: salesASecond * 40 });
  const alone = await sellWhile(market, leads.splice(0, salesASecond * 5), wait(4_000));
  const { subscriptions, providers } = await putToSleep(market.db, asleep);
  const timed = timingTransactions(market.db);
  const startedAt = performance.now();
  const running = reactivate(market, timed.db);
  const beside = await sellWhile(market, leads, running);
  const { reactivated } = await running;
  const seconds = (beside.endedAt - startedAt) / 1_000;
  say(
    `woke ${count(reactivated)} of ${count(subscriptions)} subscriptions of ${count(providers)} providers in ${seconds.toFixed(1)} s`,
  );
  say(`sales: ${told(alone.ms)} alone; ${told(beside.ms)} beside it`);
  // What autovacuum has done by the next pass.
  await market.db.query(sql`vacuum (analyze) subscription`);
  const idle: number[] = [];
  for (let pass = 0; pass < 5; pass += 1) {
    const passStartedAt = performance.now();
    await reactivate(market, market.db);
    idle.push(performance.now() - passStartedAt);
  }
  return [
    below(10, { what: `waking ${count(reactivated)} subscriptions beside sales`, value: seconds, unit: 's' }),
    below(200, {
      what: `p95 of a sale meanwhile, ${salesASecond} a second`,
      value: percentile(beside.ms, 95),
      unit: 'ms',
    }),
    reported('p95 of a sale without it', percentile(alone.ms, 95)),
    below(500, { what: 'longest transaction of the run', value: Math.max(...timed.ms), unit: 'ms' }),
    below(50, { what: 'a pass that finds nothing', value: medianOf(idle), unit: 'ms' }),
    none(
      'sleepers left, or sales that failed',
      Math.max(0, subscriptions - reactivated) + alone.failed + beside.failed,
    ),
  ];
}

/** As a schedule runs it: under a correlation id of its own, by which it finds what it has done. */
const reactivate = ({ deps }: Market, db: Database) =>
  runWithContext({ correlationId: randomUUID() }, () =>
    reactivateSubscriptions({
      db,
      runId: randomUUID(),
      log: deps.log,
      metrics: { subscriptionsReactivated: { inc() {} } },
    }),
  );

async function measureReconciliation(
  market: Market,
  { entriesMore, say }: { entriesMore: number; say: Say },
): Promise<Figure[]> {
  const { db, deps } = market;
  const entries = await lengthenLedger(db, entriesMore);
  const reconcile = () =>
    reconcileBalances({ db, runId: randomUUID(), correlationId: 'bench', log: deps.log, metrics: deps.metrics });
  const ms: number[] = [];
  for (let night = 0; night < 3; night += 1) {
    const startedAt = performance.now();
    await reconcile();
    ms.push(performance.now() - startedAt);
  }
  const small = 10;
  await driftSome(db, { small, large: 5 });
  const startedAt = performance.now();
  const found = await reconcile();
  const withDriftMs = performance.now() - startedAt;
  say(
    `${count(found.providers)} balances, ${count(entries)} entries: ${ms.map((one) => one.toFixed(0)).join(', ')} ms`,
  );
  const missed = Math.abs(found.corrected - small) + Math.abs(found.alerted - 5);
  return [
    below(5, {
      what: `comparing ${count(found.providers)} balances with ${count(entries)} entries`,
      value: medianOf(ms) / 1_000,
      unit: 's',
    }),
    reported('the same with 15 differences', withDriftMs),
    none('differences not found or not settled', missed),
    none('rows that break an invariant, but for the 5 that wait for a person', (await countBroken(db)) - 5),
  ];
}

interface Sales {
  /** Milliseconds from when each was due, in ascending order. */
  readonly ms: readonly number[];
  readonly failed: number;
  readonly endedAt: number;
}

/** Sells a lead every so often, until `work` ends; one whose turn came late was late. */
async function sellWhile(market: Market, leadIds: readonly string[], work: Promise<unknown>): Promise<Sales> {
  const ms: number[] = [];
  const sales: Promise<void>[] = [];
  let failed = 0;
  let endedAt = 0;
  void work.then(() => (endedAt = performance.now()));
  const startedAt = performance.now();
  for (const [at, leadId] of leadIds.entries()) {
    const dueAt = startedAt + (at * 1_000) / salesASecond;
    await wait(Math.max(0, dueAt - performance.now()));
    if (endedAt > 0) break;
    sales.push(
      sell(market, leadId).then(
        ({ outcome }) => void (outcome === 'noop' ? (failed += 1) : ms.push(performance.now() - dueAt)),
        () => void (failed += 1),
      ),
    );
  }
  await Promise.all([work, ...sales]);
  return { ms: ms.toSorted((one, other) => one - other), failed, endedAt };
}

/** The same database, with the milliseconds of each transaction. */
function timingTransactions(db: Database): { db: Database; ms: number[] } {
  const ms: number[] = [];
  const timed: Database['transaction'] = async (work, options) => {
    const startedAt = performance.now();
    try {
      return await db.transaction(work, options);
    } finally {
      ms.push(performance.now() - startedAt);
    }
  };
  const wrapped: Database = Object.assign(Object.create(db) as Database, {
    transaction: timed,
    query: db.query.bind(db),
  });
  return { db: wrapped, ms };
}

const percentile = (sorted: readonly number[], of: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * of) / 100))] ?? Number.NaN;
const count = (value: number) => value.toLocaleString('en-US');
const secondsSince = (startedAt: number) => ((performance.now() - startedAt) / 1_000).toFixed(1);
const told = (ms: readonly number[]) =>
  `${ms.length}, p50 ${percentile(ms, 50).toFixed(1)} ms, p95 ${percentile(ms, 95).toFixed(1)}`;
const reported = (what: string, value: number): Figure => ({ what, value, unit: 'ms', target: '', ok: true });
const none = (what: string, value: number): Figure => ({ what, value, unit: 'rows', target: '= 0', ok: value === 0 });
/** A small market has no bound of time. */
const unbounded = (figure: Figure): Figure =>
  figure.target.startsWith('<') ? { ...figure, target: '', ok: true } : figure;
