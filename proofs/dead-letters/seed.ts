import { type Database, sql } from '../../packages/ops/src/postgres/index.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { settles } from '../harness/settled.ts';
import { assemble, type Damage, inflict } from './attack.ts';
import { checkFromOutside, type Findings } from './checker.ts';
import { deathsOf, missedOf } from './crew.ts';
import { planFaults } from './fault-plan.ts';
import { type Evidence, type Ground, openField, type Redis } from './ground.ts';
import { prefix, queues } from './jobs.ts';
import { openLoad } from './load.ts';
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

/** From the end of the faults until everything must have its verdict. */
const settlesWithinMs = 60_000;

/** Runs one seed on a database of its own: jobs die while processes die, then all letters are retried while processes die. */
export async function runSeed(seed: number, ground: Ground): Promise<SeedResult> {
  const plan = planFaults(seed);
  const field = await openField(`seed_${seed}`, ground);
  const { fleet, db, redis, client, evidence } = field;
  const load = openLoad(String(seed), field);
  try {
    const posts = assemble(plan, field);
    const damage = await inflict({ plan, field, load, posts });
    const settledFirst = await rests(db, redis);
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

/** Waits until nothing is due, no letter is being retried and no failed job is left in Redis. False when it is late. */
export async function rests(db: Database, redis: Redis): Promise<boolean> {
  if (!(await settles(db, settlesWithinMs))) return false;
  const retrying = sql`select from ops.dead_letter_queue where state = 'retrying' limit 1`;
  return pollUntil(
    async () => {
      const counts = await Promise.all(queues.map(({ name }) => busy(redis, name)));
      return counts.every((count) => count === 0) && (await db.query(retrying)).rowCount === 0;
    },
    { deadlineMs: settlesWithinMs, everyMs: 50 },
  ).catch(() => false);
}

/** Jobs that Redis has not let go of: their runs are decided, but BullMQ has yet to hear it. */
async function busy(redis: Redis, queue: string): Promise<number> {
  const key = (name: string) => `${prefix}:${queue}:${name}`;
  const [wait, active, failed] = await Promise.all([
    redis.llen(key('wait')),
    redis.llen(key('active')),
    redis.zcard(key('failed')),
  ]);
  return failed + active + (queue === 'unattended' ? 0 : wait);
}
