import { type Database, sql } from '../../packages/ops/src/postgres/index.ts';
import { pollUntil } from '../../packages/ops/src/testing/poll.ts';
import type { Fleet, Member, Role } from '../harness/fleet.ts';
import type { Load } from '../harness/load.ts';
import type { Redis } from '../harness/stage.ts';
import { fundedSlug, scarceSlug } from '../harness/world.ts';
import type { FaultPlan } from './fault-plan.ts';

/** What the faults of one seed did. */
export interface Damage {
  readonly deaths: Record<Role, number>;
  /** Sales that Redis held when it lost everything. */
  readonly salesWiped: number;
  /** Failpoints that were armed and did not kill. */
  readonly missed: readonly string[];
  /** Longest time from the death of an armed worker until its runs had their verdicts, in ms. */
  readonly recoveryMs: number;
}

export interface Attack {
  readonly plan: FaultPlan;
  readonly fleet: Fleet;
  readonly load: Load;
  readonly db: Database;
  readonly redis: Redis;
}

/** Leads approved at once while an armed process waits for its hit. */
const burst = 4;
const hitWithinMs = 15_000;
const recoversWithinMs = 60_000;

/** Starts every role at once. Answers the worker that will die of the first mails; a steady one stands beside it. */
export function assemble(plan: FaultPlan, fleet: Fleet): Member {
  fleet.start('api');
  fleet.start('worker');
  const mailer = fleet.start('worker', plan.mailDeath);
  fleet.keep('relay', plan.relayDeath);
  fleet.keep('scheduler', plan.schedulerDeath);
  return mailer;
}

/** Carries out the plan while leads come in and are approved. Ends with all approved and one process of each role alive. */
export async function inflict(attack: Attack, mailer: Member): Promise<Damage> {
  const { plan, fleet, load, db } = attack;
  const recoveries: Promise<number>[] = [];
  const see = async (armed: Member, giveWork: () => Promise<unknown>) => {
    await deathOf(armed, giveWork);
    recoveries.push(recoveryOf(db, armed));
  };
  await load.submit(nichesOf(plan));
  await see(mailer, async () => {});
  let salesWiped = 0;
  for (const step of plan.steps) {
    await calm(db);
    if (step === 'race') await load.race();
    else if (step === 'flush') salesWiped += await flush(attack);
    else await see(fleet.start('worker', step.kill), () => load.approve(burst));
  }
  await load.approveRest();
  const recoveryMs = Math.max(...(await Promise.all(recoveries)));
  return { ...damageOf(fleet), salesWiped, recoveryMs };
}

function nichesOf({ random, fundedLeads, scarceLeads }: FaultPlan): string[] {
  return random.shuffled([
    ...Array<string>(fundedLeads).fill(fundedSlug),
    ...Array<string>(scarceLeads).fill(scarceSlug),
  ]);
}

function damageOf({ members }: Fleet): Pick<Damage, 'deaths' | 'missed'> {
  const killed = members.filter(({ end }) => end?.signal === 'SIGKILL');
  const of = (role: Role) => killed.filter((one) => one.role === role).length;
  const missed = members.filter((one) => one.failpoint !== undefined && !(one.hit && killed.includes(one)));
  return {
    deaths: { worker: of('worker'), relay: of('relay'), scheduler: of('scheduler'), api: of('api') },
    missed: missed.map(({ failpoint = '' }) => failpoint),
  };
}

/** Gives an armed worker work until it dies of it. One that does not in time is ended, and shows as missed. */
async function deathOf(armed: Member, giveWork: () => Promise<unknown>): Promise<void> {
  await armed.ready;
  const deadline = performance.now() + hitWithinMs;
  while (!armed.end && performance.now() < deadline) {
    await giveWork();
    await pollUntil(() => armed.end, { deadlineMs: 1_000 }).catch(() => {});
  }
  armed.kill();
  await armed.ended;
}

/** Time from the death of a worker until the runs it had in hand are decided. */
async function recoveryOf(db: Database, { pid, ended }: Member): Promise<number> {
  const { at } = await ended;
  const { rows } = await db.query<{ run_key: string }>(sql`
    select r.run_key from ops.job_run r join ops.worker w on w.id = r.worker
    where w.pid = ${pid} and r.state = 'enqueued' and r.started > r.finished`);
  const open = sql`
    select from ops.job_run where run_key = any (${rows.map((row) => row.run_key)}::text[]) and state = 'enqueued' limit 1`;
  await pollUntil(async () => (await db.query(open)).rowCount === 0, { deadlineMs: recoversWithinMs }).catch(() => {});
  return Math.round(performance.now() - at);
}

/**
 * Waits until no open run is two starts ahead of its ends. A third death in a row would be a crash loop, which a run that was
 * only near by does not deserve; real crash loops are another proof's matter.
 */
async function calm(db: Database): Promise<void> {
  const twice = sql`select from ops.job_run where state = 'enqueued' and started - finished >= 2 limit 1`;
  await pollUntil(async () => (await db.query(twice)).rowCount === 0, { deadlineMs: recoversWithinMs });
}

/** Counts the sales that Redis holds and takes everything from it, unless there are fewer than asked for. */
const wipe = `
  local sales = 0
  for _, key in ipairs(redis.call('keys', '*:distribute-*')) do
    if not string.find(key, ':lock$') then sales = sales + 1 end
  end
  if sales < tonumber(ARGV[1]) then return 0 end
  redis.call('flushall')
  return sales`;

/** Takes everything from Redis while sales wait or run there. Answers how many those were. */
async function flush({ plan, fleet, load, db, redis }: Attack): Promise<number> {
  const { flushWithoutWorkers } = plan;
  await load.gather(2 * burst);
  if (flushWithoutWorkers) await killAll(fleet.living('worker'));
  // Where workers live they may be too fast for us; where none does, the sales wait.
  const patience = flushWithoutWorkers ? { tries: 1, ms: 30_000 } : { tries: 5, ms: 3_000 };
  let wiped = 0;
  for (let tries = 0; wiped === 0 && tries < patience.tries; tries += 1)
    [wiped] = await Promise.all([wipeWithin(patience.ms, redis), load.approve(2 * burst)]);
  if (plan.schedulerDeath === undefined) await killAll(fleet.living('scheduler'));
  if (flushWithoutWorkers) fleet.start('worker');
  await calm(db);
  return wiped;
}

function wipeWithin(ms: number, redis: Redis): Promise<number> {
  return pollUntil(() => redis.eval(wipe, 0, 2) as Promise<number>, { everyMs: 1, deadlineMs: ms }).catch(() => 0);
}

async function killAll(members: readonly Member[]): Promise<void> {
  for (const member of members) member.kill();
  await Promise.all(members.map(({ ended }) => ended));
}
