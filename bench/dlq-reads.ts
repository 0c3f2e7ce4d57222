/** What an operator's reads take over HTTP at some number of letters. */
import { openCursors } from '../packages/ops/src/dead-letter-search/index.ts';
import { type Database, sql } from '../packages/ops/src/postgres/index.ts';
import { openRedisQueues, createRegistry, readOverview } from '../packages/ops/src/queues/index.ts';
import { connectRedis } from '../packages/ops/src/redis/index.ts';
import { ask, type BenchProcess, type Latencies, told } from './dlq-process.ts';
import { largestQueue, prefix, queues } from './dlq-world.ts';

const dlq = '/api/v1/admin/queues/dlq';

export interface Reads {
  readonly letters: number;
  readonly first: Latencies;
  /** As the console asks for it: the open ones of a queue. */
  readonly open: Latencies;
  readonly deep: Latencies;
  readonly entry: Latencies;
  readonly groups: Latencies;
}

export interface ReadOptions {
  readonly letters: number;
  readonly amount: number;
  readonly say: (line: string) => void;
}

export async function measureReads(
  db: Database,
  api: BenchProcess,
  { letters, amount, say }: ReadOptions,
): Promise<Reads> {
  const measure = async (name: string, paths: readonly string[]) => {
    const latencies = await ask(api.url, paths, amount);
    say(`  ${name}: ${told(latencies)}`);
    return latencies;
  };
  const filter = encodeURIComponent(`state:open queue:${largestQueue}`);
  return {
    letters,
    first: await measure('first page of all', [`${dlq}?limit=50`]),
    open: await measure('first page of the open ones of a queue', [`${dlq}?limit=50&q=${filter}`]),
    deep: await measure('page at a cursor', await deepPages(db)),
    entry: await measure('one entry', await entries(db)),
    groups: await measure('groups of the last 24 h', [`${dlq}/groups?q=${encodeURIComponent('age:<24h')}`]),
  };
}

/** Pages from everywhere between the tenth and the last letters but a tenth. */
async function deepPages(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ at: string; id: string }>(sql`
    select to_char(failed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, id from (
      select failed_at, id, ntile(100) over (order by failed_at) as nth from ops.dead_letter_queue tablesample system (2)) some_letters
    where nth between 10 and 90 order by random() limit 200`);
  const cursors = openCursors(db);
  const scope = { sort: '-failed_at', filter: '' };
  const begun = new Date().toISOString();
  return Promise.all(
    rows.map(async ({ at, id }) => {
      const cursor = await cursors.sign({ position: [at, id], towards: 'next', begun }, scope);
      return `${dlq}?limit=50&cursor=${encodeURIComponent(cursor)}`;
    }),
  );
}

async function entries(db: Database): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    sql`select id from ops.dead_letter_queue tablesample system (2) order by random() limit 5000`,
  );
  return rows.map(({ id }) => `${dlq}/${id}`);
}

export interface OverviewReads {
  readonly overview: Latencies;
  /** The computation behind the cache. */
  readonly computed: Latencies;
}

/** The overview as it is asked for, and what is computed once in two seconds for all who ask. */
export async function measureOverview(
  db: Database,
  api: BenchProcess,
  { redisUrl, amount, say }: { redisUrl: string; amount: number; say: ReadOptions['say'] },
): Promise<OverviewReads> {
  const overview = await ask(api.url, ['/api/v1/admin/queues'], amount);
  const redis = connectRedis({ url: redisUrl });
  const registry = createRegistry(queues);
  const redisQueues = openRedisQueues(redis, registry, prefix);
  const took: number[] = [];
  for (let at = 0; at < 60; at += 1) {
    const startedAt = performance.now();
    await readOverview(db, redisQueues, registry, () => new Date());
    if (at >= 10) took.push(performance.now() - startedAt);
  }
  await redisQueues.close();
  redis.disconnect();
  took.sort((one, other) => one - other);
  const computed = { p50: took[25] ?? Number.NaN, p95: took[47] ?? Number.NaN, most: took[49] ?? Number.NaN };
  say(`  queues: ${told(overview)}; computed anew: ${told(computed)}`);
  return { overview, computed };
}
