import { type Random, randomOf } from '../harness/random.ts';
import type { Fate } from './jobs.ts';

/** A worker is armed to die at a point while jobs of one fate are all it has. */
export interface Shot {
  readonly fate: Fate;
  readonly point: string;
  /** The hit at which it dies. */
  readonly at: number;
}

/** A process of that role dies wherever it is; `flush` takes everything from Redis. */
export type Step = 'relay' | 'scheduler' | 'worker' | 'api' | 'flush';

/** What one seed does to the system. */
export interface FaultPlan {
  readonly seed: number;
  /** Further numbers of the seed: who is killed, what is next. */
  readonly random: Random;
  /** Jobs by how they end; a step follows each wave. */
  readonly waves: readonly (readonly Fate[])[];
  readonly steps: readonly Step[];
  readonly shots: readonly Shot[];
  readonly relayDeath: string;
  readonly schedulerDeath: string;
}

const thrown: Fate[] = ['exhaust', 'throw_undefined', 'throw_refused_characters', 'throw_huge', 'throw_circular'];
const untouched: Fate[] = ['invalid', 'unknown_kind'];

const pairsOf = (fates: readonly Fate[], points: readonly string[]) =>
  fates.flatMap((fate) => points.map((point) => ({ fate, point: `worker.${point}` })));

/** Every death that a worker writes, with every point at which that worker may be killed meanwhile. */
export const pairs: readonly Omit<Shot, 'at'>[] = randomOf(1).shuffled([
  ...pairsOf(
    [...thrown, 'throw_inside_commit', 'permanent'],
    ['before_begin', 'before_handler', 'before_death', 'after_death'],
  ),
  // Refused before their handler.
  ...pairsOf(untouched, ['before_begin', 'before_death', 'after_death']),
  ...pairsOf(['succeed'], ['before_begin', 'before_handler', 'inside_commit', 'before_commit', 'after_commit']),
]);

export const shotsOfSeed = 2;

/** Each wave holds all of these; the order and how many more is the seed's. */
const fates: Fate[] = [
  ...thrown,
  ...untouched,
  'throw_inside_commit',
  'permanent',
  'unparsable',
  'orphan',
  'foreign',
  'garbage',
  'failed_garbage',
  'remove',
  'mislaid',
  'succeed',
  'succeed',
  'wait',
];

/** Works out the plan of a seed: the same seed, the same plan. */
export function planFaults(seed: number): FaultPlan {
  const random = randomOf(seed);
  const wave = (more: Fate[]) =>
    random.shuffled([...fates, ...Array.from({ length: 4 }, () => random.pick(fates)), ...more]);
  return {
    seed,
    waves: [wave(['lost', 'lost', 'crash']), wave(['lost'])],
    steps: random.shuffled<Step>(['relay', 'scheduler', 'worker', 'api', 'flush']),
    shots: shotsOf(seed, random),
    relayDeath: `${random.pick(['dispatch.before_add', 'dispatch.after_add'])}:kill@${random.between(1, 6)}`,
    schedulerDeath: `${seed % 2 === 0 ? 'sweep.before_forget' : 'reconcile.before_return'}:kill@${random.between(1, 4)}`,
    random: randomOf(-seed),
  };
}

/** The seeds share the pairs out: each takes the next, and 20 seeds take all. */
function shotsOf(seed: number, random: Random): Shot[] {
  return Array.from({ length: shotsOfSeed }, (_one, at) => {
    const pair = pairs[((seed - 1) * shotsOfSeed + at) % pairs.length];
    if (!pair) throw new RangeError('there are no pairs');
    return { ...pair, at: random.between(1, 3) };
  });
}
