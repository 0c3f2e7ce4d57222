/**
 * The cost of our code around the SQL of a sale. Two databases start as copies of one another. Each lead is first sold in the one by our
 * code; at once the statements that this sent, from BEGIN to COMMIT, are sent to the other by a bare `pg` client: same texts,
 * same names of prepared statements, same values, in the same order, and nothing between them. As the databases go the same way, that is
 * the same work, and both end with the same accounts.
 */
import pg from 'pg';
import { type Database, openDatabase, sql, type Statement } from '../packages/ops/src/postgres/index.ts';
import { copyDatabase, type Market, openMarket, sell } from './distribution-market.ts';
import { addLeads, buildWorld, sizeOf } from './distribution-world.ts';
import { atLeast, type Figure, medianOf } from './report.ts';

interface PairSize {
  readonly providers: number;
  readonly rounds: number;
  readonly salesARound: number;
}

interface Pair {
  readonly ours: Market;
  /** Statements of the transaction that `ours` made last. */
  readonly recorded: Statement[];
  readonly bare: pg.Client;
}

/** Milliseconds of each arm. */
interface Round {
  ours: number;
  bare: number;
}

export async function comparePair(
  emptyUrl: string,
  { providers, rounds, salesARound, say }: PairSize & { say: (line: string) => void },
): Promise<Figure[]> {
  const url = await copyDatabase(emptyUrl, 'pair_ours');
  const leads = await prepare(url, { providers, rounds: rounds + 1, salesARound });
  const pair = await openPair(url, await copyDatabase(url, 'pair_bare'));
  const measured: Round[] = [];
  for (const each of leads) {
    measured.push(await measure(pair, each));
    if (measured.length > 1) say(`round ${measured.length - 1} of ${rounds}: ${toldOf(measured.at(-1), salesARound)}`);
  }
  const differing = await countDiffering(pair);
  await Promise.all([pair.ours.db.close(), pair.bare.end()]);
  return figuresOf(measured.slice(1), differing, salesARound);
}

/** Leads by round, the first for warming up. */
async function prepare(url: string, { providers, rounds, salesARound }: PairSize): Promise<string[][]> {
  const db = openDatabase({ url, poolSize: 1, statementTimeoutMs: 0 });
  await buildWorld(db, sizeOf(providers));
  const leads: string[][] = [];
  for (let round = 0; round < rounds; round += 1) leads.push(await addLeads(db, { count: salesARound }));
  await db.query(sql`vacuum (analyze)`);
  await db.close();
  return leads;
}

async function openPair(oursUrl: string, bareUrl: string): Promise<Pair> {
  const market = openMarket(oursUrl, 1);
  const recorded: Statement[] = [];
  const bare = new pg.Client({ connectionString: bareUrl });
  // When the run breaks off, what broke it says more than the loss of this connection.
  bare.on('error', () => {});
  await bare.connect();
  return { ours: { ...market, db: recording(market.db, recorded) }, recorded, bare };
}

/** The database, noting each statement of its transactions. */
function recording(db: Database, recorded: Statement[]): Database {
  const transaction: Database['transaction'] = (work, options) =>
    db.transaction((tx) => {
      recorded.length = 0;
      const query: typeof tx.query = (statement) => {
        recorded.push(statement);
        return tx.query(statement);
      };
      const send: typeof tx.send = (statement) => {
        recorded.push(statement);
        tx.send(statement);
      };
      return work({ ...tx, query, send });
    }, options);
  return Object.assign(Object.create(db) as Database, {
    transaction,
    query: db.query.bind(db),
    close: db.close.bind(db),
  });
}

async function measure({ ours, recorded, bare }: Pair, leads: readonly string[]): Promise<Round> {
  const round = { ours: 0, bare: 0 };
  for (const leadId of leads) {
    const startedAt = performance.now();
    await sell(ours, leadId);
    round.ours += performance.now() - startedAt;
    const statements = recorded.map(plain);
    const replayedAt = performance.now();
    await replay(bare, statements);
    round.bare += performance.now() - replayedAt;
  }
  return round;
}

function plain(statement: Statement): pg.QueryConfig {
  const { text, values } = statement;
  return 'name' in statement ? { name: statement.name, text, values } : { text, values };
}

async function replay(bare: pg.Client, statements: readonly pg.QueryConfig[]): Promise<void> {
  await bare.query('begin');
  for (const statement of statements) await bare.query(statement);
  await bare.query('commit');
}

/** Accounts on which the two databases do not agree. */
async function countDiffering({ ours, bare }: Pair): Promise<number> {
  const text = 'select provider_id, version, balance_cents::int from account where version > 1';
  const [here, there] = [await ours.db.query({ name: '', text, values: [] }), await bare.query(text)];
  const lines = (rows: object[]) => new Set(rows.map((row) => JSON.stringify(row)));
  return lines(here.rows).symmetricDifference(lines(there.rows)).size;
}

function toldOf(round: Round | undefined, sales: number): string {
  const { ours, bare } = round ?? { ours: Number.NaN, bare: Number.NaN };
  return `ours ${(ours / sales).toFixed(2)} ms a sale, bare ${(bare / sales).toFixed(2)} ms, ratio ${(bare / ours).toFixed(3)}`;
}

function figuresOf(rounds: readonly Round[], differing: number, salesARound: number): Figure[] {
  const msASale = (arm: keyof Round) => medianOf(rounds.map((round) => round[arm])) / salesARound;
  const reported = (what: string, value: number) => ({ what, value, unit: 'ms', target: '', ok: true });
  return [
    reported('one sale, one connection, ours', msASale('ours')),
    reported('the same SQL by bare pg', msASale('bare')),
    atLeast(0.6, {
      what: 'sale transaction, ours / the same SQL by bare pg, in sales/s',
      value: medianOf(rounds.map(({ ours, bare }) => bare / ours)),
      unit: 'ratio',
    }),
    {
      what: 'accounts that differ between the two arms',
      value: differing,
      unit: 'accounts',
      target: '= 0',
      ok: differing === 0,
    },
  ];
}
