import { writeFileSync } from 'node:fs';
import { openDatabase, raw } from '../../packages/ops/src/postgres/index.ts';
import { readJournal } from '../harness/journal.ts';
import { check, type FaultKind, faultKinds } from './checker.ts';
import type { Evidence, Ground, Redis } from './ground.ts';
import type { Intention } from './intentions.ts';
import { lasting } from './invariants.ts';
import { causeOf, prefix, work } from './jobs.ts';

/** A fault put into a copy of good evidence: statements for the database, another journal, or a change of Redis that is taken back. */
interface Plant {
  readonly sql?: string;
  readonly intentions?: (all: Intention[]) => Intention[];
  /** Answers what takes it back. */
  readonly redis?: (redis: Redis) => Promise<() => Promise<unknown>>;
}

const one = (table: string, where: string) => `ctid = (select ctid from ${table} where ${where} limit 1)`;
const letters = 'ops.dead_letter_queue';
const runs = 'ops.job_run';
const payloads = 'ops.dead_letter_payload';

/** Every kind of fault, planted once: a check that was never seen to fail proves nothing. */
const plants: Record<Exclude<FaultKind, 'broken_invariant'>, Plant> = {
  uncaptured_death: { sql: `delete from ${letters} where ${one(letters, "cause = 'exhausted'")}` },
  captured_twice: {
    sql: `alter table ${letters} alter column resolved drop expression;
          create temp table again as select * from ${letters} limit 1;
          update again set id = gen_random_uuid(), root_key = root_key || '@again';
          insert into ${letters} select * from again`,
  },
  stray_letter: { intentions: withoutOneDeath },
  wrong_cause: {
    sql: `update ${runs} set cause = 'lost' where ${one(runs, "cause = 'exhausted' and generation = 0")}`,
  },
  lost_evidence: {
    sql: `update ${payloads} set body = '{}', bytes = null where ${one(payloads, "encoding = 'json' and version = 0")}`,
  },
  lost_work: { sql: `delete from effect where ${one('effect', "marker like '%-succeed'")}` },
  effect_twice: { sql: 'insert into effect select * from effect limit 1' },
  effect_of_the_dead: {
    sql: `insert into effect select root_key, root_key, root_key from ${letters} where state = 'discarded' limit 1`,
  },
  retry_not_resolved: {
    sql: `update ${letters} set state = 'pending', resolved_at = null where ${one(letters, "state = 'resolved'")}`,
  },
  race_not_won_once: { intentions: (all) => all.map((one) => (one.kind === 'raced' ? { ...one, winners: 2 } : one)) },
  unfinished_run: {
    sql: `update ${runs} set state = 'enqueued', finished_at = null where ${one(runs, "state = 'done'")}`,
  },
  unfinished_redrive: {
    intentions: (all) => [...all, { kind: 'redriven', redriveId: '00000000-0000-4000-8000-000000000000', items: 1 }],
  },
};

const jobs = `${prefix}:${work.name}`;

/** The same for each invariant. */
const breaks: Record<string, Plant> = {
  J1: { redis: misplaceOne },
  J2: { sql: `delete from ops.job_outbox where ${one('ops.job_outbox', 'true')}` },
  J3: { sql: `update ${runs} set root_key = '' where ${one(runs, 'true')}` },
  J4: {
    sql: `update ${runs} set root_key = (select min(root_key) from ${runs} where state = 'done')
          where run_key = (select max(run_key) from ${runs} where state = 'done')`,
  },
  'J4 effects': { sql: "insert into effect values ('m-0-0', 'nobody', 'nobody')" },
  J5: { redis: forgeOne },
  J6: {
    sql: `alter table ${runs} drop constraint job_run_check;
          update ${runs} set started = finished + 4 where ${one(runs, "state = 'enqueued'")}`,
  },
  D1: { sql: `delete from ${letters} where ${one(letters, "cause = 'permanent'")}` },
  D2: { redis: failOne },
  D3: {
    sql: `update ${letters} set state = 'retrying', resolved_at = null where ${one(letters, "state = 'resolved'")}`,
  },
  D4: { sql: `update ${letters} set generation = generation + 1 where ${one(letters, "state = 'resolved'")}` },
  D5: {
    sql: `update ${letters} set resolution = '{"how": "manual"}' where ${one(letters, "resolution ->> 'how' = 'retried'")}`,
  },
  D6: { sql: `update ${letters} set version = version + 1 where ${one(letters, 'true')}` },
  D8: {
    sql: `insert into ops.redrive (name, action, state, options, included, created_by, created_by_name, correlation_id)
          values ('planted', 'retry', 'running', '{}', 1, 'proof', 'proof', 'none')`,
  },
  D9: { sql: `update ${payloads} set sha256 = repeat('0', 64) where ${one(payloads, 'true')}` },
  'failed = captured = closed + open': { sql: `insert into ops.job_death (queue, deaths) values ('${work.name}', 1)` },
};

/** Shows the checker each kind of fault, and each broken invariant, and answers those it did not report. */
export async function unseenPlants(evidence: Evidence, ground: Ground): Promise<string[]> {
  const unseen: string[] = [];
  for (const kind of faultKinds) {
    if (kind === 'broken_invariant') continue;
    const { faults } = await checkPlanted(evidence, kind, plants[kind], ground);
    if (faults[kind].length === 0) unseen.push(kind);
  }
  for (const [name, plant] of Object.entries(breaks)) {
    const { faults } = await checkPlanted(evidence, name, plant, ground);
    if (!faults.broken_invariant.some((line) => line.startsWith(`${name} `))) unseen.push(name);
  }
  return [...unseen, ...lasting.map(({ name }) => name).filter((name) => !(name in breaks))];
}

/** Faults that are planted. */
export const plantCount = Object.keys(plants).length + Object.keys(breaks).length;

let copies = 0;

async function checkPlanted(evidence: Evidence, name: string, { sql, intentions, redis }: Plant, ground: Ground) {
  const undo = await redis?.(ground.redis);
  copies += 1;
  try {
    return await check({
      ...evidence,
      ...(sql !== undefined && {
        databaseUrl: await changedCopy(evidence.databaseUrl, sql, `planted_${copies}`, ground),
      }),
      ...(intentions && { intentionsPath: rewritten(evidence.intentionsPath, intentions) }),
    });
  } catch (error) {
    throw new Error(`the fault ${name} could not be planted`, { cause: error });
  } finally {
    await undo?.();
  }
}

/** Triggers and foreign keys are off: the fault is planted behind the back of all that prevents it. */
async function changedCopy(databaseUrl: string, sql: string, name: string, ground: Ground): Promise<string> {
  const url = await ground.copyDatabase(new URL(databaseUrl).pathname.slice(1), name);
  const db = openDatabase({ url, poolSize: 1 });
  await db.query(raw(`set session_replication_role = replica; ${sql}`));
  await db.close();
  return url;
}

function rewritten(path: string, change: (all: Intention[]) => Intention[]): string {
  const planted = `${path}.planted`;
  const lines = change(readJournal<Intention>(path)).map((entry) => `${JSON.stringify(entry)}\n`);
  writeFileSync(planted, lines.join(''));
  return planted;
}

function withoutOneDeath(all: Intention[]): Intention[] {
  const at = all.findIndex((entry) => entry.kind === 'planned' && causeOf[entry.fate] !== null);
  return all.filter((_entry, index) => index !== at);
}

/** Takes a job that waits for its time out of its place. */
async function misplaceOne(redis: Redis) {
  const [id = '', score = ''] = await redis.zrange(`${jobs}:delayed`, '0', '0', 'WITHSCORES');
  await redis.zrem(`${jobs}:delayed`, id);
  return () => redis.zadd(`${jobs}:delayed`, score, id);
}

async function forgeOne(redis: Redis) {
  await redis.hset(`${jobs}:forged`, { data: '{"v":1,"run":"forged"}' });
  return () => redis.del(`${jobs}:forged`);
}

async function failOne(redis: Redis) {
  await redis.zadd(`${jobs}:failed`, '1', 'forged');
  return () => redis.zrem(`${jobs}:failed`, 'forged');
}
