import { type Queryable, sql } from '../postgres/index.ts';
import { type Clock, databaseClock } from './clock.ts';
import type { ScheduleView } from './contract.ts';
import type { ScheduleDefinition } from './definition.ts';
import { intervalAfter, nextFireTime, type Rule } from './fire-times.ts';
import { graceOf, limitOf } from './intervals.ts';
import { viewRun } from './list-runs.ts';
import { pauseAt } from './pause.ts';
import { ruleWords } from './rule-words.ts';
import type { RunRow } from './run-rows.ts';
import { readSchedules, type ScheduleRow } from './schedule-rows.ts';
import { differs } from './take-over.ts';

interface Facts {
  readonly name: string;
  readonly expected_at: Date | null;
  readonly missed_24h: number;
  readonly late_24h: number;
  readonly outcomes: ScheduleView['outcomes'] | null;
}

/** Every schedule that is configured, in that order, then those that only the ledger knows. */
export async function listSchedules(
  db: Queryable,
  { schedules, clock = databaseClock }: { schedules: readonly ScheduleDefinition[]; clock?: Clock },
): Promise<{ schedules: ScheduleView[]; as_of: string }> {
  const now = await clock(db);
  const rows = await readSchedules(db);
  const facts = new Map((await readFacts(db, now)).map((one) => [one.name, one]));
  const last = new Map((await readLastRuns(db)).map((run) => [run.schedule, run]));
  const view = (name: string, definition: ScheduleDefinition | undefined) =>
    viewOf({
      definition,
      now,
      row: rows.find((row) => row.name === name),
      facts: facts.get(name),
      last: last.get(name),
    });
  const strangers = rows.filter(({ name }) => !schedules.some((definition) => definition.name === name));
  return {
    schedules: [
      ...schedules.map((definition) => view(definition.name, definition)),
      ...strangers.map(({ name }) => view(name, undefined)),
    ],
    as_of: now.toISOString(),
  };
}

async function readFacts(db: Queryable, now: Date): Promise<Facts[]> {
  const { rows } = await db.query<Facts>(sql`
    select s.name,
      (select min(fire_at) from ops.schedule_run r
       where r.schedule = s.name and r.state = 'expected' and r.run_key is null) as expected_at,
      (select count(*)::int from ops.schedule_run r
       where r.schedule = s.name and r.state = 'missed' and r.fire_at > ${now}::timestamptz - interval '1 day') as missed_24h,
      (select count(*)::int from ops.schedule_run r
       where r.schedule = s.name and r.late and r.fire_at > ${now}::timestamptz - interval '1 day') as late_24h,
      (select json_agg(json_build_object(
                'run_id', o.id, 'expected_at', to_char(o.fire_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                'state', o.state, 'late', o.late))
       from (select * from ops.schedule_run r where r.schedule = s.name and r.fire_at <= ${now}
             order by r.fire_at desc, r.id desc limit 20) o) as outcomes
    from ops.schedule s`);
  return rows;
}

async function readLastRuns(db: Queryable): Promise<RunRow[]> {
  const { rows } = await db.query<RunRow>(sql`
    select r.* from ops.schedule s
    cross join lateral (select * from ops.schedule_run r where r.schedule = s.name and r.started_at is not null
                        order by r.fire_at desc, r.id desc limit 1) r`);
  return rows;
}

interface Known {
  readonly definition: ScheduleDefinition | undefined;
  readonly row: ScheduleRow | undefined;
  readonly facts: Facts | undefined;
  readonly last: RunRow | undefined;
  readonly now: Date;
}

function viewOf(known: Known): ScheduleView {
  const { definition, row, facts, last, now } = known;
  const rule = ruleOf(known);
  const enabled = definition?.enabled ?? false;
  return {
    name: definition?.name ?? row?.name ?? '',
    cron: rule.cron,
    tz: rule.timeZone,
    words: ruleWords(rule),
    enabled,
    paused: row ? pauseAt(row, now) : null,
    catch_up: definition?.catchUp ?? row?.catch_up ?? 'last',
    overlap: definition?.overlap ?? row?.overlap ?? false,
    ...ownTimes(definition, now),
    last_run: last ? viewRun(last) : null,
    next_run: enabled ? (facts?.expected_at ?? nextFireTime(rule, now)).toISOString() : null,
    last_success_at: row?.last_success_at?.toISOString() ?? null,
    missed_24h: facts?.missed_24h ?? 0,
    late_24h: facts?.late_24h ?? 0,
    outcomes: facts?.outcomes ?? [],
    drift: driftOf(known),
  };
}

function ruleOf({ definition, row }: Known): Rule {
  return definition ?? { cron: row?.cron ?? '', timeZone: row?.time_zone ?? 'UTC' };
}

function ownTimes(definition: ScheduleDefinition | undefined, now: Date) {
  if (!definition) return { grace_s: null, limit_s: null };
  const interval = intervalAfter(definition, now);
  return { grace_s: graceOf(definition, interval) / 1_000, limit_s: limitOf(definition, interval) / 1_000 };
}

/** The leader is a second behind at times: that is no drift yet. */
const behindMs = 10_000;

function driftOf({ definition, row, facts, now }: Known): ScheduleView['drift'] {
  if (!definition) return ['removed'];
  const difference = differs(row, definition);
  if (difference === 'unknown') return ['not_recorded'];
  const expected = facts?.expected_at;
  const isBehind = definition.enabled && expected && now.getTime() - expected.getTime() > behindMs;
  return [...(difference === undefined ? [] : (['changed'] as const)), ...(isBehind ? (['behind'] as const) : [])];
}
