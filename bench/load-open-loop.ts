import { randomUUID } from 'node:crypto';
import { sql } from '../packages/ops/src/postgres/index.ts';
import { openDatabase, type Database } from '../packages/ops/src/postgres/index.ts';
import { pollUntil } from '../packages/ops/src/testing/poll.ts';
import { type ClickServer, startClickServer } from '../apps/marketplace/src/simulator/live/click-server.ts';
import { settings } from '../apps/marketplace/src/settings.ts';
import { brokenInvariants } from '../apps/marketplace/src/testing/distribution.ts';
import { type Member, openFleet } from '../proofs/harness/fleet.ts';
import { openStage } from '../proofs/harness/stage.ts';
import { openPoster, type Poster, signInAdmin } from './load-caller.ts';
import { buildLoadMarket, loadSlugs } from './load-market.ts';
import { quantileOf, runOpenLoop } from './open-loop.ts';
import { openPostgresCpu } from './postgres-cpu.ts';
import { cpuMsOf } from './process-cpu.ts';
import { below, type Figure } from './report.ts';

export interface OpenLoopRun {
  readonly rate: number;
  readonly seconds: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

const soldWithinMs = 60_000;
const mailWithinMs = 60_000;
const drainedWithinMs = 300_000;
/** A stage looks for what is lost twice a second, which costs what is measured here. */
const timesOfProduction = Object.fromEntries(
  ([settings.jobLockMs, settings.leaseMs, settings.reconcileAfterMs, settings.reconcileEveryMs] as const).map(
    ({ env, default: value }) => [env, value],
  ),
);
/** A generator that comes later than this measures itself. */
const generatorLateMs = 100;

/**
 * Leads at the doors of a product in four processes, at a rate that does not slow down when the product does. Each is confirmed when its mail
 * comes and approved at once, so that the way from the form to the sale can be measured, from the moment its person meant to come.
 */
export async function openLoopFigures({ rate, seconds, seed, say }: OpenLoopRun): Promise<Figure[]> {
  const stage = await openStage();
  const clicks = await startClickServer();
  const databaseUrl = await stage.createDatabase('load');
  const fleet = await openFleet({ ...stage.settings({ databaseUrl, smtpUrl: clicks.url }), ...timesOfProduction });
  const db = openDatabase({ url: databaseUrl, poolSize: 2 });
  try {
    await buildLoadMarket(db);
    for (const role of ['api', 'worker', 'relay', 'scheduler'] as const) fleet.start(role);
    await Promise.all(fleet.members.map(({ ready }) => ready));
    const people = openPeople(openPoster(fleet.apiUrl), await signInAdmin(fleet.apiUrl), clicks);
    say(`${rate} leads a second for ${seconds} s`);
    const cpu = await openCpu(fleet.members, db);
    const startedAt = performance.now();
    const lateness = await runOpenLoop({ rate, seconds, seed, fire: (n, at) => people.come(n, at) });
    say(`the last of ${lateness.arrivals} was approved after ${Math.round(performance.now() - startedAt)} ms`);
    await pollUntil(async () => (await unsold(db)) === 0, { deadlineMs: soldWithinMs, everyMs: 200 }).catch(() => {});
    for (const failure of lateness.failures.slice(0, 3)) say(String(failure));
    const figures = await figuresOf(db, people.intended, lateness);
    const isDrained = await pollUntil(async () => (await openJobs(db)) === 0, {
      deadlineMs: drainedWithinMs,
      everyMs: 200,
    }).catch(() => false);
    const drainedMs = performance.now() - startedAt - seconds * 1_000;
    const perLead = cpu(lateness.arrivals);
    const broken = Object.keys(await brokenInvariants(db));
    return [
      ...figures,
      figure('from the last arrival until the last job was done', drainedMs, 'ms'),
      figure('mails taken', clicks.taken, 'mails'),
      ...perLead,
      none('jobs left open', isDrained ? 0 : await openJobs(db)),
      none('invariants broken', broken.length),
      none('processes that did not stop cleanly', await fleet.stop()),
    ];
  } finally {
    await fleet.close();
    await db.close();
    await clicks.stop();
    await stage.close({ keepDirectory: false });
  }
}

/** CPU time of each process since now, by lead: what it costs, whoever else uses the machine. */
async function openCpu(members: readonly Member[], db: Database): Promise<(leads: number) => Figure[]> {
  const postgres = await openPostgresCpu(db);
  const parts: [string, () => number][] = [
    ...members.map(({ role, pid }): [string, () => number] => [role, () => cpuMsOf(pid)]),
    ['Postgres', postgres],
    ['generator and mail server', () => cpuMsOf(process.pid)],
  ];
  const before = parts.map(([, read]) => read());
  return (leads) =>
    parts.map(([name, read], at) => ({
      what: `CPU time a lead, ${name}`,
      value: (read() - (before[at] ?? 0)) / leads,
      unit: 'ms',
      target: '',
      ok: true,
    }));
}

/** Each comes, gets a mail, clicks, and is approved by the staff. */
function openPeople(stranger: Poster, staff: Poster, clicks: ClickServer) {
  const intended = new Map<string, number>();
  const waiting = new Map<string, (token: string) => void>();
  clicks.onToken((address, token) => waiting.get(address)?.(token));
  return {
    /** When each lead should have come, by its id. */
    intended,
    async come(n: number, intendedAt: number): Promise<void> {
      const email = `person-${n}@example.com`;
      const { promise: token, resolve, reject } = Promise.withResolvers<string>();
      waiting.set(email, resolve);
      const niche = loadSlugs[n % loadSlugs.length];
      const lead = { niche, name: 'A Person', email, postcode: '94107', form: {}, consent: { version: 1 } };
      const { id } = await stranger.post<{ id: string }>('/leads', lead, randomUUID());
      intended.set(id, intendedAt);
      const late = setTimeout(() => reject(new Error('no mail came')), mailWithinMs);
      await stranger.post('/leads/confirm', { token: await token });
      clearTimeout(late);
      waiting.delete(email);
      await staff.post(`/admin/leads/${id}/approve`);
    },
  };
}

async function unsold(db: Database): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    sql`select count(*)::int as n from lead where status not in ('distributed', 'unsold')`,
  );
  return rows[0]?.n ?? 0;
}

/** A run is open exactly as long as it stands in the outbox, which is short: to look for it among all runs costs what is measured here. */
async function openJobs(db: Database): Promise<number> {
  const { rows } = await db.query<{ n: number }>(sql`select count(*)::int as n from ops.job_outbox`);
  return rows[0]?.n ?? 0;
}

async function figuresOf(
  db: Database,
  intended: ReadonlyMap<string, number>,
  { arrivals, lateMs, failures }: Awaited<ReturnType<typeof runOpenLoop>>,
): Promise<Figure[]> {
  const { rows } = await db.query<{ id: string; approved: number; sold: number; buyers: number }>(sql`
    select l.id, extract(epoch from l.approved_at)::float8 * 1000 as approved,
           extract(epoch from min(a.assigned_at))::float8 * 1000 as sold, count(*)::int as buyers
    from lead l join assignment a on a.lead_id = l.id group by l.id`);
  const fromApproval = rows.map(({ approved, sold }) => sold - approved);
  const fromIntention = rows.map(({ id, sold }) => sold - (intended.get(id) ?? Number.NaN));
  return [
    figure('leads that came', arrivals, 'leads'),
    none('leads not sold', arrivals - rows.length),
    none('calls that failed', failures.length),
    figure(
      'assignments',
      rows.reduce((sum, { buyers }) => sum + buyers, 0),
      'rows',
    ),
    figure('approval to assignment, p50', quantileOf(fromApproval, 0.5), 'ms'),
    below(1_000, { what: 'approval to assignment, p95', value: quantileOf(fromApproval, 0.95), unit: 'ms' }),
    figure('approval to assignment, p99', quantileOf(fromApproval, 0.99), 'ms'),
    figure('intended arrival to assignment, p50', quantileOf(fromIntention, 0.5), 'ms'),
    below(1_000, { what: 'intended arrival to assignment, p95', value: quantileOf(fromIntention, 0.95), unit: 'ms' }),
    figure('intended arrival to assignment, p99', quantileOf(fromIntention, 0.99), 'ms'),
    below(generatorLateMs, {
      what: 'lateness of the generator itself, p95',
      value: quantileOf(lateMs, 0.95),
      unit: 'ms',
    }),
  ];
}

function figure(what: string, value: number, unit: string): Figure {
  return { what, value: Math.round(value), unit, target: '', ok: true };
}

const none = (what: string, value: number): Figure => ({ what, value, unit: '', target: '= 0', ok: value === 0 });
