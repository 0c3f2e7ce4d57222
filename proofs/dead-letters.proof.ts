/**
 * Every death of a job is captured once, and every letter is retried once, while every role is killed with -9 and Redis loses everything.
 *
 * Each seed fixes the jobs, how they die and when a process dies: of every cause, and with it at every point of a worker, relay and
 * scheduler. What was done to the system is in a journal; a checker in a process of its own compares it with Postgres and Redis and asks
 * every invariant. Then the handlers are mended, and each letter is retried over HTTP while processes die again. Last, many letters are
 * redriven under fire, and a canary that meets an error nobody knows halts. The checker is shown one fault of each kind, to see that it
 * can fail. `--quick` redrives 1,000 letters in place of 10,000.
 */
import { atLeast, type Figure, type RunOptions } from '../bench/report.ts';
import { type FaultKind, faultKinds, type Findings } from './dead-letters/checker.ts';
import { pairs } from './dead-letters/fault-plan.ts';
import { type Ground, openGround } from './dead-letters/ground.ts';
import { plantCount, unseenPlants } from './dead-letters/planted-faults.ts';
import { canaryHalts, type HaltResult, redriveUnderFire, type RedriveResult } from './dead-letters/redrive.ts';
import { runSeed, type SeedResult } from './dead-letters/seed.ts';
import { exactly, none, reported } from './harness/figures.ts';

export const about = 'kill -9 of every role while jobs die, while letters are retried and while they are redriven';

export async function run(options: RunOptions): Promise<Figure[]> {
  const { firstSeed, quick, say } = options;
  const ground = await openGround();
  let good = false;
  try {
    const { results, unseen } = await runSeeds(options, ground);
    const redrive = await timed(
      'redrive',
      () => redriveUnderFire(firstSeed, quick ? 1_000 : 10_000, ground),
      ({ result, seconds }) => {
        say(`redrive: ${result.items} letters, ${killedText(result.killed)}, ${seconds} s`);
        for (const line of troublesOf([result.findings])) say(`  ${line}`);
      },
    );
    const halt = await canaryHalts(ground);
    const figures = [
      ...seedFigures(results),
      none('planted faults that the checker did not see', unseen, say),
      reported('faults planted', plantCount, 'faults'),
      ...redriveFigures(redrive),
      ...haltFigures(halt),
    ];
    good = figures.every(({ ok }) => ok);
    return figures;
  } finally {
    if (!good) say(`journals and logs are in ${ground.directory}`);
    await ground.close({ keepDirectory: !good });
  }
}

async function runSeeds({ seeds, firstSeed, say }: RunOptions, ground: Ground) {
  const results: SeedResult[] = [];
  let unseen: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    const again = `again: npm run prove -- dead-letters --seed ${seed}`;
    const result = await timed(
      `seed ${seed}, ${again}`,
      () => runSeed(seed, ground),
      (done) => {
        say(`seed ${seed}: ${summaryOf(done.result)}, ${done.seconds} s`);
        for (const line of [...troublesOf(done.result.findings), ...missesOf(done.result)]) say(`  ${line}; ${again}`);
      },
    );
    results.push(result);
    // Redis still holds what this seed left there.
    if (seed === firstSeed) unseen = await unseenPlants(result.evidence, ground);
  }
  return { results, unseen };
}

async function timed<Result>(
  name: string,
  work: () => Promise<Result>,
  tell: (done: { result: Result; seconds: string }) => void,
): Promise<Result> {
  const startedAt = performance.now();
  try {
    const result = await work();
    tell({ result, seconds: ((performance.now() - startedAt) / 1_000).toFixed(1) });
    return result;
  } catch (error) {
    throw new Error(`${name} broke off`, { cause: error });
  }
}

type Killed = SeedResult['killed'];

function killedText({ worker, relay, scheduler, api }: Killed): string {
  return `${worker} workers, ${relay} relays, ${scheduler} schedulers and ${api} APIs killed`;
}

function summaryOf({ killed, damage, findings: [, { counts }] }: SeedResult): string {
  const { planned, deaths, retried } = counts;
  return `${planned} jobs, ${deaths} deaths, ${retried} retried, ${killedText(killed)}, ${damage.wiped} jobs wiped out of Redis`;
}

function troublesOf(findings: readonly Findings[]): string[] {
  return findings.flatMap(({ faults }) =>
    Object.entries(faults).flatMap(([kind, found]) =>
      found.length > 0 ? [`${kind.replaceAll('_', ' ')}: ${found.slice(0, 5).join(', ')}`] : [],
    ),
  );
}

/** What else is wrong with a seed, for people. */
function missesOf({ damage, missed, settled, uncleanStops }: SeedResult): string[] {
  return [
    ...damage.broken.slice(0, 5).map((line) => `in the middle of it: ${line}`),
    ...damage.misses.map((shot) => `missed: ${shot}`),
    ...missed.map((failpoint) => `never hit: ${failpoint}`),
    ...(settled ? [] : ['did not settle']),
    ...(uncleanStops > 0 ? [`${uncleanStops} processes did not stop cleanly`] : []),
  ];
}

function seedFigures(results: readonly SeedResult[]): Figure[] {
  const n = results.length;
  const sum = (of: (result: SeedResult) => number) => results.reduce((total, result) => total + of(result), 0);
  const last = (of: (counts: Findings['counts']) => number) => sum(({ findings: [, { counts }] }) => of(counts));
  const never = (what: string, of: (result: SeedResult) => number) =>
    exactly(0, { what, value: sum(of), unit: 'times' });
  const killed = (role: keyof Killed, least: number) =>
    atLeast(least * n, { what: `kill -9 of the ${role}`, value: sum((result) => result.killed[role]), unit: 'deaths' });
  const faultsOf = (kind: FaultKind) => (result: SeedResult) =>
    result.findings.reduce((total, { faults }) => total + faults[kind].length, 0);
  const letters = last((counts) => counts.letters);
  const retried = last((counts) => counts.retried);
  return [
    reported('seeds run', n, 'seeds'),
    reported(
      'jobs',
      last((counts) => counts.planned),
      'jobs',
    ),
    reported(
      'deaths injected',
      last((counts) => counts.deaths),
      'deaths',
    ),
    exactly(
      last((counts) => counts.deaths),
      { what: 'letters', value: letters, unit: 'letters' },
    ),
    reported('letters retried', retried, 'letters'),
    ...faultKinds.map((kind) => never(kind.replaceAll('_', ' '), faultsOf(kind))),
    never('invariants broken in the middle of it', ({ damage }) => damage.broken.length),
    reported(
      `of ${pairs.length} deaths with a point to die at, tried`,
      Math.min(
        sum(({ shots }) => shots),
        pairs.length,
      ),
      'pairs',
    ),
    killed('worker', 5),
    killed('relay', 2),
    killed('scheduler', 2),
    killed('api', 1),
    atLeast(n, { what: 'jobs wiped out of Redis', value: sum(({ damage }) => damage.wiped), unit: 'jobs' }),
    reported(
      'writes sent again to a killed API',
      sum(({ repeated }) => repeated),
      'writes',
    ),
    never('shots that missed, or did not recover', ({ damage }) => damage.misses.length),
    never('failpoints armed and never hit', ({ missed }) => missed.length),
    never('seeds that did not settle in time', ({ settled }) => (settled ? 0 : 1)),
    never('processes that did not stop cleanly', ({ uncleanStops }) => uncleanStops),
  ];
}

function redriveFigures({ items, progress, findings, killed, missed, tookS }: RedriveResult): Figure[] {
  const wrong = Object.values(findings.faults).reduce((total, found) => total + found.length, 0);
  return [
    exactly(items, { what: 'redriven letters that succeeded', value: progress.succeeded ?? 0, unit: 'items' }),
    exactly(items, { what: 'items of the redrive, by their outcomes', value: total(progress), unit: 'items' }),
    exactly(items, { what: 'effects of the redrive', value: findings.counts.effects, unit: 'effects' }),
    exactly(0, { what: 'faults found after the redrive', value: wrong, unit: 'faults' }),
    ...(['worker', 'relay', 'scheduler', 'api'] as const).map((role) =>
      atLeast(1, { what: `kill -9 of the ${role} in the redrive`, value: killed[role], unit: 'deaths' }),
    ),
    exactly(0, { what: 'failpoints of the redrive never hit', value: missed.length, unit: 'points' }),
    reported('redrive under fire', tookS, 's'),
  ];
}

function total({ total: _all, ...outcomes }: Readonly<Record<string, number>>): number {
  return Object.values(outcomes).reduce((sum, count) => sum + count, 0);
}

function haltFigures({ state, itemsRun, canarySize, untouched, letters }: HaltResult): Figure[] {
  return [
    exactly(1, { what: 'redrive stopped by its canary', value: Number(state === 'stopped'), unit: 'redrive' }),
    {
      what: 'items run before the canary halted',
      value: itemsRun,
      unit: 'items',
      target: `≤ ${canarySize}`,
      ok: itemsRun <= canarySize,
    },
    exactly(letters - itemsRun, { what: 'letters left as they were', value: untouched, unit: 'letters' }),
  ];
}
