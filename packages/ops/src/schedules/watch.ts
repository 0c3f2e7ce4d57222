import type { Metrics } from '../metrics/index.ts';
import { type Database, type Queryable, sql } from '../postgres/index.ts';
import { type Clock, databaseClock } from './clock.ts';
import type { ScheduleDefinition } from './definition.ts';
import { fireTimes, intervalAfter } from './fire-times.ts';
import { graceOf } from './intervals.ts';
import { pauseAt } from './pause.ts';
import { readSchedules, type ScheduleRow } from './schedule-rows.ts';

export interface WatchDeps {
  readonly db: Database;
  readonly metrics: Metrics;
  readonly schedules: readonly ScheduleDefinition[];
  /** Default that of the database. */
  readonly clock?: Clock;
}

/**
 * Registers the watchdog: every role compares what should have started with what the ledger says, by the rules themselves. A dead scheduler
 * writes nothing, and is seen by that.
 */
export function watchSchedules({ db, metrics, schedules, clock = databaseClock }: WatchDeps): void {
  if (schedules.length === 0) return;
  const since = new Date();
  metrics.collect({
    name: 'schedules',
    gauges: ['schedule_overdue_seconds', 'schedule_grace_seconds', 'schedule_last_success_timestamp_seconds'],
    async read() {
      const overdue = await readOverdue(db, { schedules, now: await clock(db), since });
      return overdue.flatMap(({ schedule, overdueS, graceS, lastSuccess }) => [
        { metric: 'schedule_overdue_seconds' as const, labels: { schedule }, value: overdueS },
        { metric: 'schedule_grace_seconds' as const, labels: { schedule }, value: graceS },
        {
          metric: 'schedule_last_success_timestamp_seconds' as const,
          labels: { schedule },
          value: lastSuccess.getTime() / 1_000,
        },
      ]);
    },
  });
}

export interface Overdue {
  readonly schedule: string;
  /** How long the first fire time waits after which nothing was started; 0 when nothing is overdue, paused or switched off. */
  readonly overdueS: number;
  readonly graceS: number;
  /** When it was taken over, before the first success. */
  readonly lastSuccess: Date;
}

export interface OverdueQuestion {
  readonly schedules: readonly ScheduleDefinition[];
  readonly now: Date;
  /** Since when a schedule that no scheduler has taken over should have fired. */
  readonly since: Date;
}

/** Expected minus recorded, of each schedule. */
export async function readOverdue(db: Queryable, { schedules, now, since }: OverdueQuestion): Promise<Overdue[]> {
  const rows = new Map((await readSchedules(db)).map((row) => [row.name, row]));
  const waiting = await readWaiting(db, now);
  return schedules.map((definition) => {
    const row = rows.get(definition.name);
    const first = isResting(definition, row, now)
      ? undefined
      : earliest(waiting.get(definition.name), neverRecorded(definition, { row, now, since }));
    return {
      schedule: definition.name,
      overdueS: first ? Math.max(0, (now.getTime() - first.getTime()) / 1_000) : 0,
      graceS: graceOf(definition, intervalAfter(definition, now)) / 1_000,
      lastSuccess: row?.last_success_at ?? row?.created_at ?? since,
    };
  });
}

function isResting({ enabled }: ScheduleDefinition, row: ScheduleRow | undefined, now: Date): boolean {
  return !enabled || (row !== undefined && pauseAt(row, now) !== null);
}

/** The first fire time that no scheduler has recorded, by the rule itself. */
function neverRecorded(
  definition: ScheduleDefinition,
  { row, now, since }: { row: ScheduleRow | undefined; now: Date; since: Date },
): Date | undefined {
  return fireTimes(definition, { after: row?.last_tick ?? since, until: now, most: 1 })[0];
}

/**
 * By schedule, the first recorded fire time since the last run that was started or paused. One that another run held up waits until that
 * run has ended: a run without an end holds up every tick.
 */
async function readWaiting(db: Queryable, now: Date): Promise<Map<string, Date>> {
  const { rows } = await db.query<{ name: string; fire_at: Date | null }>(sql`
    select s.name,
      (select min(r.fire_at) from ops.schedule_run r
       where r.schedule = s.name and r.fire_at <= ${now}
         and (r.state in ('expected', 'missed')
              or (r.state = 'skipped' and r.reason <> 'paused' and not exists (
                select from ops.schedule_run e
                where e.schedule = r.schedule and e.state in ('done', 'failed') and e.ended_at >= r.fire_at)))
         and r.fire_at > coalesce(
           (select max(d.fire_at) from ops.schedule_run d
            where d.schedule = s.name
              and (d.state in ('started', 'done', 'failed') or (d.state = 'skipped' and d.reason = 'paused'))),
           '-infinity')) as fire_at
    from ops.schedule s`);
  return new Map(rows.flatMap(({ name, fire_at }) => (fire_at === null ? [] : [[name, fire_at] as const])));
}

function earliest(...times: (Date | undefined)[]): Date | undefined {
  return times.filter((time) => time !== undefined).toSorted((one, other) => one.getTime() - other.getTime())[0];
}
