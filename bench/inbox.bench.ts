/**
 * How long a provider waits for a page of the inbox, over HTTP on one connection, against the bare statement of the same page.
 *
 * The application runs in a process of its own. Every provider asks as often as another, be their inbox large or small; the largest of all
 * is asked for by itself besides, without a target: a search passes by everything its asker bought.
 */
import http from 'node:http';
import { openSession } from '../apps/marketplace/src/features/auth/index.ts';
import { migrationSets } from '../apps/marketplace/src/migrations.ts';
import { encodeCursor } from '../apps/marketplace/src/paging.ts';
import { type Database, openDatabase, openMigrator, prepared, sql } from '../packages/ops/src/postgres/index.ts';
import { openArm } from './intake-load.ts';
import { buildInboxes } from './inbox-world.ts';
import { below, type Figure, medianOf, type RunOptions } from './report.ts';
import { startServers } from './servers.ts';

export const about =
  'GET /api/v1/provider/inbox at 1M assignments, one connection: p95 of first page, deep page, filters, search';

/** Somebody who asks, and one of the leads they bought. */
interface Reader {
  readonly providerId: string;
  readonly userId: string;
  readonly bought: number;
  readonly token: string;
  readonly known: Known;
}

interface Known {
  readonly id: string;
  readonly position: string;
  readonly email: string;
  readonly phone: string;
  readonly niche: string;
  readonly level_id: string;
}

type Ask = (reader: Reader) => string;

const asks: Readonly<Record<string, Ask>> = {
  'first page': () => '',
  'deep page': ({ known }) => `cursor=${encodeCursor([known.position, known.id])}`,
  'filter by status': () => 'status=new',
  'filter by niche and level': ({ known }) => `niche=${known.niche}&level=${known.level_id}`,
  'filter by time': ({ known }) => `to=${encodeURIComponent(new Date(known.position).toISOString())}`,
  'search by address': ({ known }) => `q=${encodeURIComponent(known.email)}`,
  'search by phone': ({ known }) => `q=${encodeURIComponent(known.phone.slice(-7))}`,
  'search in vain': () => 'q=nobody.of.this.name',
};

export async function run({ quick, say }: RunOptions): Promise<Figure[]> {
  const size = quick ? { assignments: 50_000, providers: 100 } : { assignments: 1_000_000, providers: 2_000 };
  const servers = await startServers();
  await openMigrator({ url: servers.databaseUrl, sets: migrationSets }).up();
  const db = openDatabase({ url: servers.databaseUrl, poolSize: 1, statementTimeoutMs: 0 });
  const arm = await openArm('ours', servers);
  try {
    const startedAt = performance.now();
    await buildInboxes(db, size);
    const { rows } = await db.query<{ count: number }>(sql`select count(*)::int from assignment`);
    const { readers, largest } = await openReaders(db, quick ? 20 : 100);
    say(
      `${rows[0]?.count} assignments of ${size.providers} providers, built in ${seconds(startedAt)}; the largest has ${largest.bought}`,
    );
    const get = openConnection(arm.url);
    return await measureAll({ db, get, readers, largest }, { amount: quick ? 60 : 400, say });
  } finally {
    await arm.close();
    await db.close();
    await servers.stop();
  }
}

const seconds = (from: number) => `${((performance.now() - from) / 1_000).toFixed(1)} s`;

interface Stage {
  readonly db: Database;
  readonly get: Get;
  readonly readers: readonly Reader[];
  readonly largest: Reader;
}

async function measureAll(
  stage: Stage,
  { amount, say }: { amount: number; say: RunOptions['say'] },
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [what, ask] of Object.entries(asks)) {
    await measure(stage, ask, stage.readers.slice(0, 20));
    const { ours, bare } = await measure(stage, ask, turns(stage.readers, amount));
    const largest = await measure(stage, ask, turns([stage.largest], Math.ceil(amount / 4)));
    figures.push(below(10, { what: `${what}, p95`, value: p95(ours), unit: 'ms' }));
    figures.push(told(`${what}, median`, medianOf([...ours])), told(`${what}, largest inbox, p95`, p95(largest.ours)));
    say(`${what}: p95 ${p95(ours).toFixed(2)} ms, largest inbox ${p95(largest.ours).toFixed(2)} ms`);
    if (what === 'first page') figures.push(...peerFigures({ ours, bare }));
  }
  return figures;
}

function peerFigures({ ours, bare }: Times): Figure[] {
  return [
    told('peer: the bare statement of a first page, p95', p95(bare)),
    told('peer: the bare statement of a first page, median', medianOf([...bare])),
    {
      what: 'first page / bare statement, medians',
      value: medianOf([...ours]) / medianOf([...bare]),
      unit: 'ratio',
      target: '',
      ok: true,
    },
  ];
}

const told = (what: string, value: number): Figure => ({ what, value, unit: 'ms', target: '', ok: true });

function turns<T>(of: readonly T[], amount: number): T[] {
  return Array.from({ length: amount }, (_, at) => of[at % of.length] as T);
}

interface Times {
  readonly ours: readonly number[];
  readonly bare: readonly number[];
}

/** In turns with the peer, so that both see the same machine. */
async function measure({ db, get }: Stage, ask: Ask, readers: readonly Reader[]): Promise<Times> {
  const ours: number[] = [];
  const bare: number[] = [];
  for (const reader of readers) {
    ours.push(await timed(() => get(`/api/v1/provider/inbox?${ask(reader)}`, reader.token)));
    bare.push(await timed(() => bareFirstPage(db, reader.providerId)));
  }
  return { ours, bare };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function p95(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? Number.NaN;
}

/** What a person would write who needs this page alone, on an open connection. */
function bareFirstPage(db: Database, providerId: string) {
  return db.query(
    prepared(
      'bare_inbox',
      sql`
        select a.id, a.lead_id, a.price_cents, a.assigned_at, a.refunded_at, p.name, p.email, p.phone_e164, m.viewed_at, m.decision
        from assignment a join lead p on p.id = a.lead_id left join inbox_mark m on m.assignment_id = a.id
        where a.provider_id = ${providerId}::uuid order by a.assigned_at desc, a.id desc limit 51`,
    ),
  );
}

type Get = (path: string, token: string) => Promise<void>;

/** One connection that is kept. Each answer is read to its end, and must be a page. */
function openConnection(origin: string): Get {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  return (path, token) =>
    new Promise((resolve, reject) => {
      const request = http.get(
        `${origin}${path}`,
        { agent, headers: { authorization: `Bearer ${token}` } },
        (answer) => {
          answer.resume();
          answer.once('end', () =>
            answer.statusCode === 200 ? resolve() : reject(new Error(`${path} answered ${answer.statusCode}`)),
          );
        },
      );
      request.once('error', reject);
    });
}

interface Buyer {
  readonly provider_id: string;
  readonly user_id: string;
  readonly bought: number;
}

/** Providers drawn by lot, and the one who bought most. */
async function openReaders(db: Database, amount: number): Promise<{ readers: Reader[]; largest: Reader }> {
  const { rows } = await db.query<Buyer>(sql`
    select p.id as provider_id, p.user_id, o.bought
    from (select provider_id, count(*)::int as bought from assignment group by provider_id) o join provider p on p.id = o.provider_id
    order by o.bought desc`);
  const [first] = rows;
  if (!first) throw new Error('nobody bought anything');
  const every = Math.max(1, Math.floor(rows.length / amount));
  const readers: Reader[] = [];
  for (const [at, buyer] of rows.entries()) if (at % every === 0) readers.push(await openReader(db, buyer));
  return { readers, largest: await openReader(db, first) };
}

/** With a session, and a lead a third of the way down their list. */
async function openReader(db: Database, { provider_id, user_id, bought }: Buyer): Promise<Reader> {
  const client = { ip: '127.0.0.1', userAgent: 'bench' };
  const user = { id: user_id, role: 'provider' as const };
  const { token } = await db.transaction((tx) => openSession(tx, user, { ...client, kind: 'full', now: new Date() }));
  const { rows } = await db.query<Known>(sql`
    select a.id, a.assigned_at::text as position, l.email, l.phone_e164 as phone, n.slug as niche, a.level_id
    from assignment a join lead l on l.id = a.lead_id join niche n on n.id = l.niche_id
    where a.provider_id = ${provider_id} order by a.assigned_at desc, a.id desc
    offset (select count(*) / 3 from assignment where provider_id = ${provider_id}) limit 1`);
  return { providerId: provider_id, userId: user_id, bought, token, known: rows[0] as Known };
}
