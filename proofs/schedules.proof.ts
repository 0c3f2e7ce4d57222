/**
 * No fire time of a schedule is run twice and none is unrecorded, while two schedulers race for each, are frozen past their lease, inside
 * a tick too, and are killed before and after its commit.
 *
 * The processes are real: a scheduler is stopped with SIGSTOP, its lease and its transaction end, another one leads, and then it goes on
 * where it was. What the runs did stands in a table without a unique key; the ledger is compared with it and with the fire times computed
 * again from the rules. One fault of each kind is planted in the end, to see that the comparison can fail.
 */
import { atLeast, type Figure, type RunOptions } from '../bench/report.ts';
import { openDatabase } from '../packages/ops/src/index.ts';
import { exactly, none, reported } from './harness/figures.ts';
import { faultKinds, unseenPlants } from './schedules/check.ts';
import { openGround } from './schedules/ground.ts';
import { runSeed, type SeedResult } from './schedules/seed.ts';

export const about = 'two schedulers that race, frozen past their lease and killed in their ticks';

export async function run({ seeds, firstSeed, quick, say }: RunOptions): Promise<Figure[]> {
  const ground = await openGround();
  try {
    const results: SeedResult[] = [];
    for (let seed = firstSeed; seed < firstSeed + (quick ? 1 : seeds); seed += 1) {
      const startedAt = performance.now();
      const result = await runSeed(seed, ground);
      results.push(result);
      say(`seed ${seed}: ${summaryOf(result)}, ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
    }
    return [...figuresOf(results, say), none('planted faults that were not seen', await plant(results), say)];
  } finally {
    await ground.close();
  }
}

function summaryOf({ fireTimes, states, terms, frozen, killed }: SeedResult): string {
  const ends = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  return `${fireTimes} fire times (${ends.join(', ')}), ${terms} terms, ${frozen} frozen, ${killed} killed`;
}

function figuresOf(results: readonly SeedResult[], say: (line: string) => void): Figure[] {
  const sum = (of: (result: SeedResult) => number) => results.reduce((total, result) => total + of(result), 0);
  const faults = faultKinds.map((kind) => {
    const wrong = results.flatMap(({ seed, faults: found }) =>
      found[kind].map((line) => `seed ${seed}: ${kind} ${line}`),
    );
    return none(kind.replaceAll('_', ' '), wrong, say);
  });
  return [
    reported(
      'fire times recorded',
      sum(({ fireTimes }) => fireTimes),
      'fire times',
    ),
    atLeast(results.length * 4, { what: 'terms of leadership', value: sum(({ terms }) => terms), unit: 'terms' }),
    atLeast(results.length, { what: 'missed and skipped', value: sum(unrunOf), unit: 'fire times' }),
    ...faults,
    exactly(results.length, {
      what: 'seeds that came to rest',
      value: sum(({ settled }) => Number(settled)),
      unit: 'seeds',
    }),
    exactly(0, { what: 'processes that did not end cleanly', value: sum(({ unclean }) => unclean), unit: 'processes' }),
  ];
}

function unrunOf({ states }: SeedResult): number {
  return (states.missed ?? 0) + (states.skipped ?? 0);
}

async function plant([first]: readonly SeedResult[]): Promise<readonly string[]> {
  if (!first) return faultKinds;
  const db = openDatabase({ url: first.databaseUrl, poolSize: 2 });
  try {
    return await unseenPlants(db);
  } finally {
    await db.close();
  }
}
