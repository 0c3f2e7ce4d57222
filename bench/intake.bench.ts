/**
 * What taking in a lead costs in the real application against a bare Fastify route that does one equal INSERT.
 *
 * Both servers run in processes of their own on the same Postgres and take turns; the load comes from this process. Every round
 * asks each a fixed number of requests, so that all are answered and the rows can be counted against the answers.
 */
import autocannon from 'autocannon';
import { migrationSets } from '../apps/marketplace/src/migrations.ts';
import { makeNiche } from '../apps/marketplace/src/testing/subscriptions.ts';
import { type Database, openDatabase, openMigrator, sql } from '../packages/ops/src/postgres/index.ts';
import { type Arm, fields, openArm, submissionOf } from './intake-load.ts';
import type { ArmName } from './intake-server.ts';
import { openPostgresCpu } from './postgres-cpu.ts';
import { atLeast, type Figure, medianOf, type RunOptions } from './report.ts';
import { startServers } from './servers.ts';

export const about = 'POST /api/v1/leads against a bare Fastify route with one equal INSERT, 48 connections';

const connections = 48;

interface Round {
  readonly rate: number;
  /** CPU time of the server process, and of Postgres, in ms a request. */
  readonly cpuMs: number;
  readonly postgresMs: number;
  readonly p95Ms: number;
  readonly accepted: number;
  readonly failed: number;
}

export async function run({ quick, say }: RunOptions): Promise<Figure[]> {
  const servers = await startServers();
  await openMigrator({ url: servers.databaseUrl, sets: migrationSets }).up();
  const db = openDatabase({ url: servers.databaseUrl, poolSize: 2 });
  const niche = await makeNiche(db, { formSchema: { fields } });
  await db.query(sql`create table bare_lead (like lead including all)`);
  const arms = { bare: await openArm('bare', servers), ours: await openArm('ours', servers) };
  try {
    const postgresCpu = await openPostgresCpu(db);
    const rounds = await measureAll(arms, { slug: niche.slug, postgresCpu }, { quick, say });
    return [...figuresOf(rounds), ...(await stored(db, rounds.ours))];
  } finally {
    for (const arm of Object.values(arms)) await arm.close();
    await db.close();
    await servers.stop();
  }
}

type Rounds = Record<ArmName, Round[]>;

/** The first of each is for warming up. */
async function measureAll(
  arms: Record<ArmName, Arm>,
  target: Target,
  { quick, say }: Pick<RunOptions, 'quick' | 'say'>,
): Promise<Rounds> {
  const secondsEach = quick ? 1 : 5;
  const rounds: Rounds = { bare: [], ours: [] };
  for (let round = 0; round <= (quick ? 1 : 7); round += 1) {
    for (const name of (round % 2 === 0 ? ['bare', 'ours'] : ['ours', 'bare']) as ArmName[]) {
      const amount = round === 0 ? 4_000 : Math.ceil((rounds[name].at(-1)?.rate ?? 0) * secondsEach);
      rounds[name].push(await measure(arms[name], target, amount));
    }
    if (round > 0) say(`round ${round}: ${toldOf(rounds)}`);
  }
  return rounds;
}

function toldOf(rounds: Rounds): string {
  return (['bare', 'ours'] as const)
    .map((name) => {
      const { rate, cpuMs, postgresMs } = rounds[name].at(-1) as Round;
      return `${name} ${Math.round(rate)}/s, CPU ${cpuMs.toFixed(2)} + Postgres ${postgresMs.toFixed(2)} ms each`;
    })
    .join('; ');
}

interface Target {
  readonly slug: string;
  readonly postgresCpu: () => number;
}

async function measure(arm: Arm, { slug, postgresCpu }: Target, amount: number): Promise<Round> {
  const [cpuBefore, postgresBefore] = [await arm.cpuMicros(), postgresCpu()];
  const latencies: number[] = [];
  const startedAt = performance.now();
  const load = autocannon({
    url: arm.url,
    connections,
    amount,
    requests: [{ setupRequest: () => submissionOf(slug) }],
  });
  load.on('response', (_client, _status, _bytes, ms) => latencies.push(ms));
  const result = await load;
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    rate: amount / seconds,
    postgresMs: (postgresCpu() - postgresBefore) / amount,
    cpuMs: ((await arm.cpuMicros()) - cpuBefore) / 1_000 / amount,
    p95Ms: latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.95)] ?? Number.NaN,
    accepted: result['2xx'],
    failed: result.errors + result.timeouts + result.non2xx,
  };
}

function figuresOf(rounds: Rounds): Figure[] {
  const [bare, ours] = [rounds.bare.slice(1), rounds.ours.slice(1)];
  const reported = (what: string, value: number, unit: string) => ({ what, value, unit, target: '', ok: true });
  const failed = [...rounds.bare, ...rounds.ours].reduce((sum, round) => sum + round.failed, 0);
  return [
    reported('bare route', Math.round(medianOf(bare.map(({ rate }) => rate))), 'req/s'),
    reported('ours', Math.round(medianOf(ours.map(({ rate }) => rate))), 'req/s'),
    atLeast(0.5, {
      what: 'ours / bare route',
      value: medianOf(ours.map(({ rate }, at) => rate / (bare[at]?.rate ?? Number.NaN))),
      unit: 'ratio',
    }),
    ...cpuFigures('ours', ours),
    ...cpuFigures('bare route', bare),
    reported('p95 of ours', medianOf(ours.map(({ p95Ms }) => p95Ms)), 'ms'),
    { what: 'requests that failed', value: failed, unit: 'requests', target: '= 0', ok: failed === 0 },
  ];
}

function cpuFigures(name: string, rounds: readonly Round[]): Figure[] {
  const figure = (of: string, values: number[]) => ({
    what: `CPU of ${of} a request, ${name}`,
    value: medianOf(values),
    unit: 'ms',
    target: '',
    ok: true,
  });
  const figures = [
    figure(
      'the server',
      rounds.map(({ cpuMs }) => cpuMs),
    ),
    figure(
      'Postgres',
      rounds.map(({ postgresMs }) => postgresMs),
    ),
  ];
  return figures.filter(({ value }) => !Number.isNaN(value));
}

/** Every lead that was answered with 202 is there, once, with all that belongs to it. */
async function stored(db: Database, rounds: readonly Round[]): Promise<Figure[]> {
  const accepted = rounds.reduce((sum, round) => sum + round.accepted, 0);
  const { rows } = await db.query<Record<string, number>>(sql`
    select (select count(*) from lead) as leads, (select count(distinct email) from lead) as people,
           (select count(*) from lead_consent) as consents, (select count(*) from email) as mails,
           (select count(*) from ops.job_outbox) as jobs, (select count(*) from ops.event_outbox) as events`);
  const counts = Object.values(rows[0] ?? {});
  const worst = Math.max(...counts.map((count) => Math.abs(count - accepted)));
  return [
    { what: 'accepted answers', value: accepted, unit: 'leads', target: '', ok: true },
    {
      what: 'leads, consents, mails, jobs or events lost or doubled',
      value: worst,
      unit: 'rows',
      target: '= 0',
      ok: worst === 0,
    },
  ];
}
