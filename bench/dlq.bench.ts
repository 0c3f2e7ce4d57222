/**
 * What dead letters cost: reads at up to 1,000,000 of them, capture against bare BullMQ, a redrive against `addBulk`, bull-board beside.
 *
 * Everything is the real thing: our HTTP server in a process of its own, with an `authorize` that lets everyone in, on a Postgres and a
 * Redis of production's settings; a letter has a payload of 300 bytes and a stack of 1 kB. The arms, in the order they run:
 *
 * - Capture (`dlq-capture.ts`, in a database of its own). Jobs that wait in Redis and all fail at their first attempt, concurrency 32:
 *   through our worker until the last is a letter and has left Redis, the sweeper at work beside it; and through a bare BullMQ worker. They
 *   take turns, each with nothing of the other's left in Redis and its log just written anew; the figure is the median of the ratios of
 *   neighbours. Memory is what Redis has more after a round, for 10,000 failures.
 * - Reads (`dlq-reads.ts`). The world of letters (`dlq-world.ts`) grows by set-based SQL from 10,000 to 1,000,000; at each size pages,
 *   entries and groups are asked for over one connection, one request after another, pages from everywhere in the list and entries at
 *   random. Flat means that the p95 at the largest size is no more than twice that at the smallest, or 2 ms more. bull-board's page of 50
 *   failed jobs is asked for in the same way while it has as many jobs as there are letters, 100,000 at most.
 * - Queues. The overview at all letters and 100,000 waiting jobs, and the computation behind its cache.
 * - Redrive (`dlq-redrive.ts`). All open letters of one queue, about 100,000, planned and started over HTTP at rate `auto`; the clock runs
 *   from the end of the canary until Redis has all jobs, which nobody works on. Engine and dispatcher share one process, whose memory is
 *   watched; their limits of what may wait are lifted. Before and after it a process does nothing but `addBulk` of such jobs, made
 *   beforehand, 1,000 a call. At last bull-board retries all of its 100,000 failed jobs.
 *
 * 10,000,000 letters are asked for with `--large`: that takes a quarter of an hour and 40 GB.
 */
import { openDatabase, openMigrator, sql } from '../packages/ops/src/postgres/index.ts';
import { opsMigrations } from '../packages/ops/src/ops.ts';
import { type Captured, measureCapture } from './dlq-capture.ts';
import { ask, type BenchProcess, type Latencies, openProcess, told } from './dlq-process.ts';
import { measureOverview, measureReads, type OverviewReads, type Reads } from './dlq-reads.ts';
import { addFailedJobs, measureAddBulk, measureRedrive, measureRetryAll, type Redriven } from './dlq-redrive.ts';
import { boardQueue } from './dlq-redis.ts';
import { addFailures, addWaitingJobs, growTo } from './dlq-world.ts';
import { atLeast, below, type Figure, medianOf, type RunOptions } from './report.ts';
import { type Servers, startServers } from './servers.ts';

export const about = 'dead letters: capture, reads and redrive, against bare BullMQ and bull-board';

interface Sizes {
  readonly letters: readonly number[];
  readonly requests: number;
  /** Most failed jobs of bull-board. */
  readonly failed: number;
  readonly waiting: number;
  readonly capture: { readonly jobs: number; readonly rounds: number };
  /** Too short for memory to get steady: streams of events fill, and heaps grow to their size. */
  readonly isShort: boolean;
}

const whole: Sizes = {
  letters: [10_000, 100_000, 1_000_000],
  requests: 1_000,
  failed: 100_000,
  waiting: 100_000,
  // Of 10,000, a fifth would be the time in which a fresh worker learns that jobs are short; of these it is a fiftieth.
  capture: { jobs: 60_000, rounds: 5 },
  isShort: false,
};
const short: Sizes = {
  letters: [10_000, 50_000],
  requests: 100,
  failed: 10_000,
  waiting: 2_000,
  capture: { jobs: 2_000, rounds: 1 },
  isShort: true,
};

type Say = RunOptions['say'];

/** bull-board at one size. */
interface BoardReads {
  readonly jobs: number;
  readonly page: Latencies;
  readonly overview: Latencies;
}

export async function run({ quick, large, say }: RunOptions): Promise<Figure[]> {
  const sizes = quick ? short : { ...whole, letters: large ? [...whole.letters, 10_000_000] : whole.letters };
  const servers = await startServers();
  const begunAt = performance.now();
  const timed: Say = (line) => say(`${((performance.now() - begunAt) / 1_000).toFixed(0).padStart(4)} s  ${line}`);
  try {
    await openMigrator({ url: servers.databaseUrl, sets: [opsMigrations] }).up();
    const captured = await capture(servers, sizes, timed);
    return [...captureFigures(captured, sizes), ...(await measureWorld(servers, sizes, timed))];
  } finally {
    await servers.stop();
  }
}

async function capture({ databaseUrl, redisUrl }: Servers, sizes: Sizes, say: Say): Promise<Captured> {
  say(`capture: ${count(sizes.capture.jobs)} failing jobs a round`);
  const db = openDatabase({ url: databaseUrl, poolSize: 1 });
  await db.query(sql`create database capture template fmhl`);
  await db.close();
  const url = new URL(databaseUrl);
  url.pathname = '/capture';
  return measureCapture({ databaseUrl: url.href, redisUrl }, { ...sizes.capture, say });
}

async function measureWorld(servers: Servers, sizes: Sizes, say: Say): Promise<Figure[]> {
  const db = openDatabase({ url: servers.databaseUrl, poolSize: 4, statementTimeoutMs: 600_000 });
  const api = await openProcess('api', servers);
  const board = await openProcess('board', servers);
  try {
    await addFailures(db);
    const reads: Reads[] = [];
    const boards: BoardReads[] = [];
    for (const letters of sizes.letters) {
      await growTo(db, letters);
      say(`${count(letters)} letters`);
      reads.push(await measureReads(db, api, { letters, amount: sizes.requests, say }));
      const jobs = Math.min(letters, sizes.failed);
      if (jobs > (boards.at(-1)?.jobs ?? 0))
        boards.push(
          await measureBoard(servers, board, { jobs, from: boards.at(-1)?.jobs ?? 0, amount: sizes.requests, say }),
        );
    }
    await addWaitingJobs(db, servers.redisUrl, sizes.waiting);
    say(`${count(sizes.waiting)} jobs wait`);
    const overview = await measureOverview(db, api, { redisUrl: servers.redisUrl, amount: sizes.requests, say });
    const redriven = await redrive(servers, api, say);
    const retriedAll = await measureRetryAll(board, boards.at(-1)?.jobs ?? 0);
    say(`bull-board's retry-all: ${Math.round(retriedAll)}/s`);
    return [
      ...readFigures(reads, boards),
      ...overviewFigures(overview, boards),
      ...redriveFigures({ ...redriven, retriedAll }, sizes),
    ];
  } finally {
    await Promise.all([api.stop(), board.stop(), db.close()]);
  }
}

async function measureBoard(
  { redisUrl }: Servers,
  board: BenchProcess,
  { jobs, from, amount, say }: { jobs: number; from: number; amount: number; say: Say },
): Promise<BoardReads> {
  await addFailedJobs(redisUrl, from, jobs);
  const queues = '/board/api/queues';
  const page = await ask(
    board.url,
    [`${queues}?activeQueue=${boardQueue}&status=failed&page=1&jobsPerPage=50`],
    amount,
  );
  const overview = await ask(board.url, [queues], amount);
  say(`  bull-board, ${count(jobs)} failed jobs: page of 50 ${told(page)}; overview ${told(overview)}`);
  return { jobs, page, overview };
}

interface Redrives extends Redriven {
  readonly addBulk: number;
}

async function redrive(servers: Servers, api: BenchProcess, say: Say): Promise<Redrives> {
  say('redrive');
  const redriven = await measureRedrive(api, servers, (line) => say(line));
  say(
    `  ${count(redriven.jobs)} jobs, ${Math.round(redriven.rate)}/s; memory ${Math.round(redriven.memory)} MB, then ${redriven.memoryGrowth.toFixed(1)} more`,
  );
  const rates: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    rates.push(await measureAddBulk(servers.redisUrl, redriven.jobs));
    say(`  addBulk: ${Math.round(rates.at(-1) ?? 0)}/s`);
  }
  return { ...redriven, addBulk: medianOf(rates) };
}

const count = (value: number) => value.toLocaleString('en-US');

const reported = (what: string, value: number, unit: string): Figure => ({ what, value, unit, target: '', ok: true });

type Measured = Pick<Figure, 'what' | 'value' | 'unit'>;

const growth = ({ isShort }: Sizes, bound: number, figure: Measured): Figure =>
  isShort ? { ...figure, target: '', ok: true } : below(bound, figure);

function captureFigures(captured: Captured, sizes: Sizes): Figure[] {
  return [
    reported('bare BullMQ failing jobs, concurrency 32', Math.round(captured.bare), 'jobs/s'),
    reported('our worker failing and capturing them', Math.round(captured.ours), 'jobs/s'),
    atLeast(0.5, { what: 'capture / bare BullMQ', value: captured.ratio, unit: 'ratio' }),
    reported('growth of Redis for 10,000 failures, bare', captured.bareGrowth, 'MB'),
    growth(sizes, 0.5, { what: 'growth of Redis for 10,000 failures, ours', value: captured.ourGrowth, unit: 'MB' }),
    {
      what: 'failures not captured, or still in Redis',
      value: captured.lost,
      unit: 'jobs',
      target: '= 0',
      ok: captured.lost === 0,
    },
  ];
}

function readFigures(reads: readonly Reads[], boards: readonly BoardReads[]): Figure[] {
  const kinds = [
    ['first page of all', 'first'],
    ['first page of the open ones of a queue', 'open'],
    ['page at a cursor, anywhere', 'deep'],
    ['one entry', 'entry'],
  ] as const;
  const [smallest, largest, board] = [reads[0], reads.at(-1), boards.at(-1)];
  if (!smallest || !largest || !board) return [];
  const beside = reads.find(({ letters }) => letters === board.jobs) ?? largest;
  const figures = kinds.flatMap(([what, of]) => [
    ...reads.map((read) =>
      below(10, { what: `p95: ${what}, ${count(read.letters)}`, value: read[of].p95, unit: 'ms' }),
    ),
    flat(`p95: ${what}, ${count(largest.letters)} / ${count(smallest.letters)}`, largest[of].p95, smallest[of].p95),
  ]);
  return [
    ...figures,
    ...boards.map(({ jobs, page }) => reported(`p95: bull-board's page of 50, ${count(jobs)} failed`, page.p95, 'ms')),
    reported(`our first page / bull-board's, ${count(board.jobs)}, p95`, beside.first.p95 / board.page.p95, 'ratio'),
    ...reads.map((read) =>
      below(20, { what: `p95: groups of the last 24 h, ${count(read.letters)}`, value: read.groups.p95, unit: 'ms' }),
    ),
    ...(largest.letters < 10_000_000 ? [reported('letters not tried (--large)', 10_000_000, 'letters')] : []),
  ];
}

/** Twice as long, or 2 ms more, is the noise of short requests on a machine that does other things too. */
function flat(what: string, value: number, base: number): Figure {
  return { what, value: value / base, unit: 'ratio', target: '< 2', ok: value / base < 2 || value - base < 2 };
}

function overviewFigures({ overview, computed }: OverviewReads, boards: readonly BoardReads[]): Figure[] {
  return [
    below(3, { what: 'p95: GET /queues, all letters and waiting jobs', value: overview.p95, unit: 'ms' }),
    reported('p95: the same, computed anew each time', computed.p95, 'ms'),
    reported("p95: bull-board's overview of one queue", boards.at(-1)?.overview.p95 ?? Number.NaN, 'ms'),
  ];
}

function redriveFigures(redriven: Redrives & { retriedAll: number }, sizes: Sizes): Figure[] {
  const { jobs, rate, addBulk, retriedAll, memory, memoryGrowth } = redriven;
  return [
    reported('letters of the redrive', jobs, 'letters'),
    reported('redrive at rate auto, after its canary', Math.round(rate), 'jobs/s'),
    reported("BullMQ's addBulk", Math.round(addBulk), 'jobs/s'),
    atLeast(0.5, { what: 'redrive / addBulk', value: rate / addBulk, unit: 'ratio' }),
    reported("bull-board's retry-all", Math.round(retriedAll), 'jobs/s'),
    reported('memory of the engine in the third quarter', memory, 'MB'),
    growth(sizes, 16, { what: 'what the last quarter has more', value: memoryGrowth, unit: 'MB' }),
  ];
}
