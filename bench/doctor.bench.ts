/**
 * What the doctor costs on a system with a past, and whether those who work beside it notice.
 *
 * Every invariant that Postgres answers is asked of 200,000 sales and 50,000 dead letters (`--large`: a million of each), as the schedule
 * asks: of what changed in the last half hour, and of everything. Beside the second a small write is repeated, and its times are
 * compared with those without anybody beside it.
 */
import { invariants } from '../apps/marketplace/src/invariants.ts';
import { migrationSets } from '../apps/marketplace/src/migrations.ts';
import { checkAll } from '../packages/ops/src/doctor/check-all.ts';
import type { ProbeResult } from '../packages/ops/src/doctor/contract.ts';
import { checkOf } from '../packages/ops/src/doctor/invariant.ts';
import { jobInvariants, letterInvariants } from '../packages/ops/src/doctor/index.ts';
import { type Database, openDatabase, openMigrator, sql } from '../packages/ops/src/postgres/index.ts';
import { writePast } from './doctor-world.ts';
import { below, type Figure, type RunOptions } from './report.ts';
import { startServers } from './servers.ts';

export const about = 'every invariant asked of a system with a past: what is new, and everything';

export async function run({ quick, large, say }: RunOptions): Promise<Figure[]> {
  const servers = await startServers();
  await openMigrator({ url: servers.databaseUrl, sets: migrationSets }).up();
  const db = openDatabase({
    url: servers.databaseUrl,
    poolSize: 4,
    statementTimeoutMs: 0,
    idleInTransactionTimeoutMs: 0,
  });
  try {
    const size = large ? 1_000_000 : quick ? 10_000 : 200_000;
    await writePast(db, { leads: size, letters: large ? size : size / 4 });
    const alone = p95(await writesWhile(db, pause(2_000)));
    const recent = await look(db, new Date(Date.now() - 30 * 60_000));
    const whole = look(db, null);
    const beside = p95(await writesWhile(db, whole));
    const all = await whole;
    for (const [name, results] of [
      ['new', recent],
      ['all', all],
    ] as const)
      say(`${name}: ${slowest(results)}`);
    const unsound = [...recent, ...all].filter(({ state }) => state !== 'ok').map(({ name }) => name);
    for (const name of unsound) say(`not sound: ${name}`);
    return [
      below(1, { what: 'probes that do not hold, or gave no answer', value: unsound.length, unit: 'probes' }),
      below(5_000, { what: 'a look at what changed in half an hour', value: sum(recent), unit: 'ms' }),
      below(1_000, { what: 'its slowest probe', value: Math.max(...recent.map(({ ms }) => ms)), unit: 'ms' }),
      below(300_000, { what: 'a look at everything', value: sum(all), unit: 'ms' }),
      below(60_000, {
        what: 'its slowest probe, of everything',
        value: Math.max(...all.map(({ ms }) => ms)),
        unit: 'ms',
      }),
      below(5, { what: 'p95 of a small write beside it, to that alone', value: beside / alone, unit: 'ratio' }),
    ];
  } finally {
    await db.close();
    await servers.stop();
  }
}

function look(db: Database, since: Date | null): Promise<ProbeResult[]> {
  const checks = [...invariants, ...jobInvariants, ...letterInvariants].map((one) => checkOf(db, one));
  return checkAll(checks, {
    sinceOf: () => since,
    eachMs: 60_000,
    wholeMs: 60_000,
    allMs: 600_000,
    signal: new AbortController().signal,
  });
}

const sum = (results: readonly ProbeResult[]) => results.reduce((total, { ms }) => total + ms, 0);

function slowest(results: readonly ProbeResult[]): string {
  const first = results.toSorted((one, other) => other.ms - one.ms).slice(0, 6);
  return first.map(({ name, ms }) => `${name} ${ms} ms`).join(', ');
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** How long each small write took while something else was under way, in ms. */
async function writesWhile(db: Database, other: Promise<unknown>): Promise<number[]> {
  let ended = false;
  const end = () => (ended = true);
  void other.then(end, end);
  const times: number[] = [];
  while (!ended) {
    const begunAt = performance.now();
    // The look does not see it: it is of another table.
    await db.query(sql`update ops.signing_key set value = value`);
    times.push(performance.now() - begunAt);
    await pause(5);
  }
  return times;
}

const p95 = (times: number[]): number =>
  times.toSorted((one, other) => one - other)[Math.floor(times.length * 0.95)] ?? 0;
