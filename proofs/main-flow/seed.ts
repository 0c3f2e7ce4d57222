import { checkFromOutside, type Evidence, type Findings } from '../harness/checker.ts';
import { openScene, populate } from '../harness/scene.ts';
import { settles } from '../harness/settled.ts';
import type { Stage } from '../harness/stage.ts';
import { planFaults } from './fault-plan.ts';
import { assemble, type Damage, inflict } from './faults.ts';

/** What one seed showed. */
export interface SeedResult {
  readonly damage: Damage;
  readonly findings: Findings;
  /** Processes that did not end with code 0 when they were asked to. */
  readonly uncleanStops: number;
  /** Whether everything had its verdict before the deadline. */
  readonly settled: boolean;
  readonly evidence: Evidence;
}

/** From the end of the faults until every approved lead and every mail must have its verdict. */
const settlesWithinMs = 30_000;

/** Runs one seed on a database of its own, and lets the checker judge it from outside once all processes have stopped. */
export async function runSeed(seed: number, stage: Stage): Promise<SeedResult> {
  const plan = planFaults(seed);
  const scene = await openScene(`seed_${seed}`, stage);
  const { fleet, db, evidence } = scene;
  try {
    const mailer = assemble(plan, fleet);
    const load = await populate(scene, plan);
    const damage = await inflict({ plan, fleet, load, db, redis: stage.redis }, mailer);
    const settled = await settles(db, settlesWithinMs);
    const uncleanStops = await fleet.stop();
    return { damage, settled, uncleanStops, evidence, findings: await checkFromOutside(evidence) };
  } finally {
    await scene.close();
  }
}
