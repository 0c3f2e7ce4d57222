/**
 * No approved lead is lost and none is charged twice, while every role is killed with -9 and Redis loses everything.
 *
 * Each seed fixes the world, the load and the faults. People submit leads over HTTP and click on the links in their mails; the
 * staff approve. Workers die before, inside and after the transaction of a sale and between the mail server's 250 and our commit;
 * relay and scheduler die at theirs. What was acknowledged is in a journal, and a checker in a process of its own compares it with
 * what Postgres and the mail server hold. The checker is shown one fault of each kind, to see that it can fail.
 */
import { atLeast, below, type Figure, type RunOptions } from '../bench/report.ts';
import { exactly, none, reported } from './harness/figures.ts';
import { openStage, type Stage } from './harness/stage.ts';
import { faultKinds } from './harness/checker.ts';
import { unseenPlants } from './main-flow/planted-faults.ts';
import { runSeed, type SeedResult } from './main-flow/seed.ts';

export const about = 'kill -9 of workers, relay and scheduler and the loss of Redis, from a lead to its sale';

export async function run({ seeds, firstSeed, say }: RunOptions): Promise<Figure[]> {
  const stage = await openStage();
  let good = false;
  try {
    const results = await runSeeds({ seeds, firstSeed, say }, stage);
    const [first] = results;
    const unseen = first ? await unseenPlants(first.evidence, stage) : [...faultKinds];
    const figures = [...figuresOf(results), none('planted faults that the checker did not see', unseen, say)];
    good = figures.every(({ ok }) => ok);
    return figures;
  } finally {
    if (!good) say(`journals and logs are in ${stage.directory}`);
    await stage.close({ keepDirectory: !good });
  }
}

async function runSeeds(
  { seeds, firstSeed, say }: Pick<RunOptions, 'seeds' | 'firstSeed' | 'say'>,
  stage: Stage,
): Promise<SeedResult[]> {
  const results: SeedResult[] = [];
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    const startedAt = performance.now();
    try {
      const result = await runSeed(seed, stage);
      results.push(result);
      say(`seed ${seed}: ${summaryOf(result)}, ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
      for (const line of troublesOf(result)) say(`  ${line}; again: npm run prove -- main-flow --seed ${seed}`);
    } catch (error) {
      say(`seed ${seed} broke off; again: npm run prove -- main-flow --seed ${seed}`);
      throw error;
    }
  }
  return results;
}

function summaryOf({ damage: { deaths, salesWiped, recoveryMs }, findings: { counts } }: SeedResult): string {
  const { approved, sold, copies } = counts;
  const killed = `${deaths.worker} workers, ${deaths.relay} relays, ${deaths.scheduler} schedulers killed`;
  return `${approved} approved, ${sold} sold, ${killed}, ${salesWiped} sales wiped out of Redis, ${copies} mails twice, recovered in ${recoveryMs} ms`;
}

/** What is wrong with a seed, for people. */
function troublesOf({ damage, findings, settled, uncleanStops }: SeedResult): string[] {
  return [
    ...Object.entries(findings.faults).flatMap(([kind, found]) =>
      found.length > 0 ? [`${kind}: ${found.slice(0, 5).join(', ')}`] : [],
    ),
    ...damage.missed.map((failpoint) => `never hit: ${failpoint}`),
    ...(settled ? [] : ['did not settle']),
    ...(uncleanStops > 0 ? [`${uncleanStops} processes did not stop cleanly`] : []),
  ];
}

function figuresOf(results: SeedResult[]): Figure[] {
  const sum = (of: (result: SeedResult) => number) => results.reduce((total, result) => total + of(result), 0);
  const n = results.length;
  const never = (what: string, of: (result: SeedResult) => number) =>
    exactly(0, { what, value: sum(of), unit: 'times' });
  const faults = faultKinds.map((kind) =>
    never(kind.replaceAll('_', ' '), ({ findings }) => findings.faults[kind].length),
  );
  return [
    reported('seeds run', n, 'seeds'),
    reported(
      'leads approved',
      sum(({ findings }) => findings.counts.approved),
      'leads',
    ),
    reported(
      'leads sold',
      sum(({ findings }) => findings.counts.sold),
      'leads',
    ),
    reported(
      'leads lawfully unsold',
      sum(({ findings }) => findings.counts.unsold),
      'leads',
    ),
    reported(
      'charges',
      sum(({ findings }) => findings.counts.charges),
      'charges',
    ),
    ...faults,
    reported(
      'mails twice, after a kill between 250 and commit',
      sum(({ findings }) => findings.counts.copies),
      'mails',
    ),
    atLeast(4 * n, { what: 'workers killed', value: sum(({ damage }) => damage.deaths.worker), unit: 'deaths' }),
    atLeast(n, { what: 'relays killed', value: sum(({ damage }) => damage.deaths.relay), unit: 'deaths' }),
    atLeast(n, { what: 'schedulers killed', value: sum(({ damage }) => damage.deaths.scheduler), unit: 'deaths' }),
    atLeast(2 * n, { what: 'sales wiped out of Redis', value: sum(({ damage }) => damage.salesWiped), unit: 'sales' }),
    never('failpoints armed and never hit', ({ damage }) => damage.missed.length),
    never('seeds that did not settle in time', ({ settled }) => (settled ? 0 : 1)),
    never('processes that did not stop cleanly', ({ uncleanStops }) => uncleanStops),
    below(30_000, {
      what: 'longest recovery of a run after a kill',
      value: Math.max(...results.map(({ damage }) => damage.recoveryMs)),
      unit: 'ms',
    }),
  ];
}
