import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Database,
  defineSchedule,
  type ScheduleContext,
  type ScheduleDefinition,
  sql,
} from '../../packages/ops/src/index.ts';

export const prefix = '{schedules-proof}';

/** Schedules whose every run leaves an effect in a table without a unique key: a doubled run shows in place of being prevented. */
export function timetable(db: Pick<Database, 'query'> | undefined): readonly ScheduleDefinition[] {
  const effect =
    (name: string, takesMs = 0) =>
    async ({ runId, fireAt }: ScheduleContext) => {
      await sleep(takesMs);
      await db?.query(sql`insert into effect (schedule, fire_at, run_id) values (${name}, ${fireAt}, ${runId})`);
      return { effects: 1 };
    };
  const ran = { auditAction: 'proof.ran' };
  return [
    // Every fire time is run, whatever happens to the schedulers.
    defineSchedule({
      ...ran,
      name: 'every',
      cron: '* * * * * *',
      catchUp: 'all',
      catchUpLimit: 1_000,
      overlap: true,
      run: effect('every'),
    }),
    // Longer than its interval: each second fire time meets a run that is open.
    defineSchedule({ ...ran, name: 'long', cron: '* * * * * *', catchUp: 'last', run: effect('long', 1_300) }),
    defineSchedule({ ...ran, name: 'rare', cron: '*/3 * * * * *', catchUp: 'none', run: effect('rare', 50) }),
  ];
}
