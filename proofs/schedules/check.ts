import { findBreaches } from '../../packages/ops/src/doctor/index.ts';
import { compareFireTimes, type Database, scheduleInvariants, type Sql, sql } from '../../packages/ops/src/index.ts';
import { timetable } from './timetable.ts';

/** Every kind of fault that is looked for. */
export const faultKinds = [
  'fire_time_astray',
  'broken_invariant',
  'run_twice',
  'effect_without_run',
  'run_without_effect',
  'not_caught_up',
  'overlapped',
  'undecided',
] as const;
export type FaultKind = (typeof faultKinds)[number];
export type Faults = Record<FaultKind, string[]>;

/** Compares the ledger with its rules, and with what the runs did. Asks Postgres alone, once all has come to rest. */
export async function check(db: Database): Promise<Faults> {
  const lines = async (statement: Sql) => (await db.query<{ line: string }>(statement)).rows.map(({ line }) => line);
  const astray = await compareFireTimes(db, timetable(undefined), { days: 90 });
  return {
    fire_time_astray: astray.map(({ schedule, fire_at, what }) => `${schedule} ${fire_at} ${what}`),
    broken_invariant: await breaches(db),
    run_twice: await lines(sql`
      select schedule || ' ' || fire_at as line from effect group by schedule, fire_at having count(*) > 1`),
    effect_without_run: await lines(sql`
      select e.schedule || ' ' || e.fire_at as line from effect e
      left join ops.schedule_run r on r.id = e.run_id and r.fire_at = e.fire_at and r.state = 'done' where r.id is null`),
    run_without_effect: await lines(sql`
      select r.schedule || ' ' || r.fire_at as line from ops.schedule_run r
      where r.state = 'done' and not exists (select from effect e where e.run_id = r.id)`),
    not_caught_up: await lines(sql`
      select fire_at || ' ' || state as line from ops.schedule_run
      where schedule = 'every' and state not in ('done', 'expected')`),
    overlapped: await lines(sql`
      select a.fire_at || ' and ' || b.fire_at as line from ops.schedule_run a
      join ops.schedule_run b on b.schedule = a.schedule and b.fire_at > a.fire_at and b.started_at < a.ended_at
      where a.schedule in ('long', 'rare')`),
    undecided: await lines(sql`
      select r.schedule || ' ' || r.fire_at as line from ops.schedule_run r join ops.schedule s on s.name = r.schedule
      where r.state in ('expected', 'started') and r.fire_at <= s.last_tick`),
  };
}

async function breaches(db: Database): Promise<string[]> {
  const broken: string[] = [];
  for (const invariant of scheduleInvariants)
    for (const row of (await findBreaches(db, invariant)).rows) broken.push(`${invariant.name} ${JSON.stringify(row)}`);
  return broken;
}

/** Faults on purpose, one of each kind, in the database of a run that had none. Answers the kinds that were not seen. */
export async function unseenPlants(db: Database): Promise<FaultKind[]> {
  for (const plant of plants) await db.query(plant);
  const faults = await check(db);
  return faultKinds.filter((kind) => faults[kind].length === 0);
}

const done = (schedule: string, nth: number) => sql`
  (select id from ops.schedule_run where schedule = ${schedule} and state = 'done' order by fire_at offset ${nth} limit 1)`;

const plants: readonly Sql[] = [
  sql`insert into effect select * from effect where schedule = 'every' limit 1`,
  sql`delete from effect where run_id = ${done('every', 1)}`,
  sql`delete from ops.schedule_run where id = ${done('every', 2)}`,
  sql`update ops.schedule_run set state = 'missed', reason = 'outage' where id = ${done('every', 3)}`,
  sql`update ops.schedule_run set ended_at = ended_at + interval '1 minute' where id = ${done('long', 0)}`,
  sql`update ops.schedule_run set state = 'started' where id = ${done('long', 1)}`,
];
