import { type Database, sql } from '../../packages/ops/src/postgres/index.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { killUnarmed, openPost, type Post, settingsOf } from './crew.ts';
import type { FaultPlan, Shot, Step } from './fault-plan.ts';
import type { Field, Redis } from './ground.ts';
import { brokenNow } from './invariants.ts';
import { aimed, prefix, volatile, work } from './jobs.ts';
import type { Load } from './load.ts';
import { busy } from './rest.ts';

/** Everything that runs while jobs die. */
export interface Attack {
  readonly plan: FaultPlan;
  readonly field: Field;
  readonly load: Load;
  readonly posts: Posts;
}

/** What the faults of one seed did. */
export interface Damage {
  /** Shots that did not kill, or whose jobs did not recover. */
  readonly misses: readonly string[];
  /** Jobs that Redis held when it lost everything. */
  readonly wiped: number;
  /** What broke an invariant in the middle of it. */
  readonly broken: readonly string[];
}

export interface Posts {
  readonly api: Post;
  readonly relay: Post;
  readonly scheduler: Post;
  readonly workers: readonly Post[];
  readonly volatile: readonly Post[];
}

const recoversWithinMs = 60_000;
const hitWithinMs = 60_000;
/** Jobs in front of a worker that is to be killed. */
const burst = 4;

/** Starts every role at once. */
export function assemble({ relayDeath, schedulerDeath }: FaultPlan, { fleet }: Field): Posts {
  const worker = (queue: string, concurrency: number) =>
    openPost(fleet, 'worker', { terms: { queues: [queue], temper: 'dying', concurrency } });
  return {
    api: openPost(fleet, 'api'),
    relay: openPost(fleet, 'relay', { failpoints: [relayDeath] }),
    scheduler: openPost(fleet, 'scheduler', { failpoints: [schedulerDeath] }),
    workers: [worker(work.name, 4), worker(work.name, 4)],
    // While one is blocked, the other one notices.
    volatile: [worker(volatile.name, 2), worker(volatile.name, 2)],
  };
}

/** Carries out the plan. Ends when everything is planned and everything armed has struck; not everything has its verdict yet. */
export async function inflict(attack: Attack): Promise<Damage> {
  const { load } = attack;
  const broken: string[] = [];
  const misses: string[] = [];
  const stalls = load.stall();
  const lanes = [
    shootAll(attack, misses),
    stalls,
    strike(attack, { stalls, look: async () => void broken.push(...(await brokenNow(attack.field.db))) }),
  ] as const;
  const [, , wiped] = await Promise.all(lanes);
  return { misses, wiped, broken };
}

/** One worker after the other dies at its point, of jobs that are nobody else's. */
async function shootAll(attack: Attack, misses: string[]): Promise<void> {
  for (const shot of attack.plan.shots) {
    if (!(await shoot(attack, shot))) misses.push(`${shot.point} with ${shot.fate}`);
  }
}

async function shoot({ field: { fleet, db, redis }, load }: Attack, { fate, point, at }: Shot): Promise<boolean> {
  const terms = settingsOf({ queues: [aimed.name], temper: 'dying' });
  const armed = fleet.start('worker', `${point}[${aimed.name}]:kill@${at}`, terms);
  await armed.ready;
  for (let n = 0; n < burst; n += 1) await load.aim(fate);
  const isHit = await pollUntil(() => armed.end, { deadlineMs: hitWithinMs }).then(
    ({ signal }) => signal === 'SIGKILL' && armed.hit,
    () => false,
  );
  armed.kill();
  const successor = fleet.start('worker', undefined, terms);
  const recovered = await isOver(db, redis, aimed.name);
  successor.kill();
  await successor.ended;
  return isHit && recovered;
}

/** Every run is decided, and Redis has heard of it: nobody works on this queue until the next shot. */
function isOver(db: Database, redis: Redis, queue: string): Promise<boolean> {
  const open = sql`select from ops.job_run where queue = ${queue} and state = 'enqueued' limit 1`;
  const look = async () => (await db.query(open)).rowCount === 0 && (await busy(redis, queue)) === 0;
  return pollUntil(look, { deadlineMs: recoversWithinMs }).catch(() => false);
}

interface Watch {
  /** Done when no job blocks a process: Redis must not forget how often it stalled. */
  readonly stalls: Promise<void>;
  readonly look: () => Promise<void>;
}

/** Waves of jobs, and two deaths of a role behind each. Answers how many jobs the loss of Redis took. */
async function strike(attack: Attack, { stalls, look }: Watch): Promise<number> {
  const { plan, load } = attack;
  const steps = [...plan.steps];
  let wiped = 0;
  const losing: Promise<void>[] = [];
  for (const wave of plan.waves) {
    const planning = (async () => {
      for (const fate of wave) await load.plan(fate);
    })();
    for (const step of steps.splice(0, Math.ceil(plan.steps.length / plan.waves.length))) {
      if (step === 'flush') {
        await Promise.all([planning, stalls]);
        wiped += await flush(attack);
      } else await strikeRole(attack, step);
      await look();
    }
    await planning;
    losing.push(load.loseAgainAndAgain());
  }
  await Promise.all(losing);
  await look();
  return wiped;
}

async function strikeRole(
  { plan: { random }, posts, field: { db } }: Attack,
  step: Exclude<Step, 'flush'>,
): Promise<void> {
  if (step === 'worker') {
    await calm(db);
    return random.pick(posts.workers).kill();
  }
  await killUnarmed(posts[step]);
}

/**
 * Waits until no open run of the mixed load is two starts ahead of its ends. A third death in a row would be a crash loop, which a run that
 * was only near by does not deserve.
 */
export async function calm(db: Database): Promise<void> {
  const twice = sql`
    select from ops.job_run where state = 'enqueued' and started - finished >= 2 and queue <> ${volatile.name} limit 1`;
  await pollUntil(async () => (await db.query(twice)).rowCount === 0, { deadlineMs: recoversWithinMs });
}

/** Counts the jobs that Redis holds, and takes everything from it. */
const wipe = `
  local jobs = 0
  for _, key in ipairs(redis.call('keys', ARGV[1])) do
    if not string.find(key, ':lock$') then jobs = jobs + 1 end
  end
  redis.call('flushall')
  return jobs`;

async function flush({ load, field: { redis }, plan }: Attack): Promise<number> {
  await load.isSaved();
  // So that there is something to lose.
  for (let n = 0; n < burst; n += 1) await load.plan(plan.random.pick(['succeed', 'exhaust', 'wait', 'permanent']));
  return (await redis.eval(wipe, 0, `${prefix}:*:m-*`)) as number;
}
