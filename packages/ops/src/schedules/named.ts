import type { Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import type { ScheduleDefinition } from './definition.ts';
import { lockSchedule, type ScheduleRow } from './schedule-rows.ts';

/** The schedule of this name. Throws refusal `not_found` with all names. */
export function scheduleNamed(schedules: readonly ScheduleDefinition[], name: string): ScheduleDefinition {
  const found = schedules.find((definition) => definition.name === name);
  if (found) return found;
  throw refuse('not_found', { schedules: schedules.map((definition) => definition.name) });
}

/** Its row, locked. Throws refusal `schedule_off` where it is switched off, or where no scheduler has taken it over yet. */
export async function lockRunnable(tx: Tx, { name, enabled }: ScheduleDefinition): Promise<ScheduleRow> {
  const row = await lockSchedule(tx, name);
  if (!enabled) throw refuse('schedule_off', { why: 'it is switched off by configuration' });
  if (!row) throw refuse('schedule_off', { why: 'no scheduler has taken it over yet' });
  return row;
}
