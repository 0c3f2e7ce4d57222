import { inject } from 'vitest';
import type { Actor } from '../audit/index.ts';
import { sql } from '../postgres/index.ts';
import { openTestPlane, type TestPlane } from '../testing/index.ts';
import { defineSchedule, type ScheduleDefinition, type ScheduleOptions, schedulerQueue } from './index.ts';
import type { RunRow } from './run-rows.ts';
import { tickAll } from './scheduler.ts';

export const ana: Actor = { id: '7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10', name: 'Ana', via: 'http' };

/** A schedule that does nothing, every five minutes unless said otherwise. */
export const tidy = (options: Partial<ScheduleOptions> = {}): ScheduleDefinition =>
  defineSchedule({ name: 'tidy', cron: '*/5 * * * *', auditAction: 'tidy.ran', run: async () => ({}), ...options });

export interface Travel {
  readonly plane: TestPlane;
  /** Sets the clock and lets a scheduler look once. */
  at(time: string, schedules?: readonly ScheduleDefinition[]): Promise<void>;
  readonly clock: () => Promise<Date>;
  readonly set: (time: string) => void;
  /** The ledger of a schedule in order: fire time, what became of it, and `job` where there is one. */
  ledger(schedule?: string): Promise<string[]>;
  rows(schedule?: string): Promise<RunRow[]>;
  jobs(): Promise<string[]>;
}

/** A plane whose schedules live by a clock that tests set. Nothing runs in it. */
export async function openTravel(schedules: readonly ScheduleDefinition[] = [tidy()]): Promise<Travel> {
  const plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [schedulerQueue],
  });
  const { db, log } = plane;
  let now = new Date(0);
  const clock = async () => now;
  const rows = async (schedule = 'tidy') =>
    (await db.query<RunRow>(sql`select * from ops.schedule_run where schedule = ${schedule} order by fire_at, id`))
      .rows;
  return {
    plane,
    clock,
    rows,
    set: (time) => void (now = new Date(time)),
    async at(time, others = schedules) {
      now = new Date(time);
      await tickAll({ db, log, schedules: others, clock });
    },
    ledger: async (schedule) => (await rows(schedule)).map(lineOf),
    jobs: async () =>
      (await db.query<{ run_key: string }>(sql`select run_key from ops.job_run order by run_key`)).rows.map(
        ({ run_key }) => run_key,
      ),
  };
}

export function lineOf({ fire_at, state, reason, run_key, origin }: RunRow): string {
  const time = fire_at.toISOString().replace(':00.000Z', 'Z');
  return [
    time,
    reason ? `${state} (${reason})` : state,
    ...(origin === 'schedule' ? [] : [origin]),
    ...(run_key === null ? [] : ['job']),
  ].join(' ');
}
