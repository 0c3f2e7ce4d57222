import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, openDatabase, sql } from '../../packages/ops/src/index.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import { type Fleet, type Member, openFleet } from '../harness/fleet.ts';
import { type Random, randomOf } from '../harness/random.ts';
import { settles } from '../harness/settled.ts';
import { check, type Faults } from './check.ts';
import type { Ground } from './ground.ts';

export interface SeedResult {
  readonly seed: number;
  readonly faults: Faults;
  /** Rows of the ledger, runs by hand of which there are none. */
  readonly fireTimes: number;
  readonly states: Readonly<Record<string, number>>;
  /** Terms of the lease: how often the leadership went from one process to another. */
  readonly terms: number;
  readonly frozen: number;
  readonly killed: number;
  readonly unclean: number;
  readonly settled: boolean;
  readonly databaseUrl: string;
}

/** A frozen scheduler wakes up this long after its lease is over, in ms, and after Postgres has ended its transaction. */
const freezeMs = 2_000;

/** Two schedulers race for every tick, while they are frozen past their lease, killed in their ticks, and both away for a while. */
export async function runSeed(seed: number, ground: Ground): Promise<SeedResult> {
  const random = randomOf(seed);
  const databaseUrl = await ground.createDatabase(`schedules_${seed}`);
  const db = openDatabase({ url: databaseUrl, poolSize: 2 });
  const fleet = await openFleet(
    { DATABASE_URL: databaseUrl, REDIS_URL: ground.redisUrl, NODE_COMPILE_CACHE: ground.compiledIn },
    ground.program,
  );
  try {
    const damage = await attack(fleet, db, random);
    const unclean = await stopSchedulers(fleet);
    const settled = await settles(db, 30_000);
    const notCleanly = unclean + (await fleet.stop());
    return {
      seed,
      faults: await check(db),
      ...(await countAll(db)),
      ...damage,
      unclean: notCleanly,
      settled,
      databaseUrl,
    };
  } finally {
    await fleet.close();
    await db.close();
  }
}

async function attack(fleet: Fleet, db: Database, random: Random): Promise<{ frozen: number; killed: number }> {
  const others = [fleet.start('worker'), fleet.start('relay')];
  const [one, other] = [fleet.start('scheduler'), fleet.start('scheduler')];
  await Promise.all([...others, one, other].map(({ ready }) => ready));
  await ticks(db, 2);
  // One of them leads. Each is frozen in turn, and the other one takes over.
  for (const member of [one, other]) {
    await freeze(member);
    await ticks(db, 1);
  }
  // In the middle of a tick, its locks held.
  const inside = fleet.start('scheduler', 'schedule.inside_tick:sleep=700@1');
  await inside.ready;
  for (const member of [one, other]) await end(member);
  await pollUntil(() => inside.hit, { deadlineMs: 20_000 });
  const late = fleet.start('scheduler');
  await freeze(inside);
  await late.ready;
  // Nobody looks at the clock for a while; of two who come then, one dies before a commit, and the other after one.
  for (const member of [inside, late]) await end(member);
  await sleep(random.between(1_500, 2_500));
  const doomed = ['inside_tick', 'after_tick'].map((at) =>
    fleet.start('scheduler', `schedule.${at}:kill@${random.between(1, 2)}`),
  );
  await Promise.all(doomed.map(({ ended }) => ended));
  const last = [fleet.start('scheduler'), fleet.start('scheduler')];
  await Promise.all(last.map(({ ready }) => ready));
  await ticks(db, 3);
  return { frozen: 3, killed: fleet.members.filter(({ end: ended }) => ended?.signal === 'SIGKILL').length };
}

/** Waits until so many more fire times are recorded. */
async function ticks(db: Database, count: number): Promise<void> {
  const recorded = async () =>
    (await db.query(sql`select from ops.schedule_run where schedule = 'every' and run_key is not null`)).rowCount;
  const before = await recorded();
  await pollUntil(async () => (await recorded()) >= before + count, { deadlineMs: 30_000 });
}

async function freeze({ pid }: Member): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await sleep(freezeMs);
  process.kill(pid, 'SIGCONT');
}

async function end(member: Member): Promise<void> {
  member.kill();
  await member.ended;
}

async function stopSchedulers(fleet: Fleet): Promise<number> {
  const living = fleet.living('scheduler');
  for (const { pid } of living) process.kill(pid, 'SIGTERM');
  const ends = await Promise.all(living.map(({ ended }) => ended));
  return ends.filter(({ code }) => code !== 0).length;
}

async function countAll(db: Database) {
  const { rows } = await db.query<{ state: string; count: number }>(
    sql`select state, count(*)::int as count from ops.schedule_run group by state order by state`,
  );
  const terms = await db.query<{ term: number }>(sql`select term from ops.lease where name = 'schedules'`);
  return {
    fireTimes: rows.reduce((sum, { count }) => sum + count, 0),
    states: Object.fromEntries(rows.map(({ state, count }) => [state, count])),
    terms: terms.rows[0]?.term ?? 0,
  };
}
