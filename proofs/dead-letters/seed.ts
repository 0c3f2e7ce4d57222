import { assemble, type Damage, inflict } from './attack.ts';
import { checkFromOutside, type Findings } from './checker.ts';
import { deathsOf, missedOf } from './crew.ts';
import { planFaults } from './fault-plan.ts';
import { type Evidence, type Ground, openField } from './ground.ts';
import { aimed, volatile, work } from './jobs.ts';
import { openLoad } from './load.ts';
import { rests } from './rest.ts';
import { assembleMenders, retryAll } from './retries.ts';

/** What one seed showed. */
export interface SeedResult {
  readonly damage: Damage;
  readonly killed: Readonly<Record<'api' | 'worker' | 'relay' | 'scheduler', number>>;
  /** Failpoints that were armed and did not kill. */
  readonly missed: readonly string[];
  /** When all letters were open, and when all were retried. */
  readonly findings: readonly [deaths: Findings, retries: Findings];
  /** Writes that were sent again, since the API died before it answered. */
  readonly repeated: number;
  readonly uncleanStops: number;
  readonly settled: boolean;
  /** Workers that died at a point of one death. */
  readonly shots: number;
  readonly evidence: Evidence;
}

/** Runs one seed on a database of its own: jobs die while processes die, then all letters are retried while processes die. */
export async function runSeed(seed: number, ground: Ground): Promise<SeedResult> {
  const plan = planFaults(seed);
  const field = await openField(`seed_${seed}`, ground);
  const { fleet, db, redis, client, evidence } = field;
  const load = openLoad(String(seed), field);
  try {
    const posts = assemble(plan, field);
    const damage = await inflict({ plan, field, load, posts });
    const settledFirst = await rests(db, redis, [work, volatile, aimed]);
    for (const post of [...posts.workers, ...posts.volatile]) await post.close();
    const deaths = await checkFromOutside(evidence);
    const workers = assembleMenders(field, plan);
    await retryAll(field, plan, { workers, posts: [posts.api, posts.relay, posts.scheduler] });
    const settled = (await rests(db, redis)) && settledFirst;
    const uncleanStops = await fleet.stop();
    const retries = await checkFromOutside(evidence);
    const killed = {
      api: deathsOf(fleet, 'api'),
      worker: deathsOf(fleet, 'worker'),
      relay: deathsOf(fleet, 'relay'),
      scheduler: deathsOf(fleet, 'scheduler'),
    };
    return {
      damage,
      killed,
      missed: missedOf(fleet),
      findings: [deaths, retries],
      repeated: client.repeated,
      uncleanStops,
      settled,
      shots: plan.shots.length,
      evidence,
    };
  } finally {
    await load.close();
    await field.close();
  }
}
