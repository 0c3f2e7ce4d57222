import type { Tx } from '../postgres/index.ts';
import type { ScheduleDefinition } from './definition.ts';
import { forgetExpected } from './run-rows.ts';
import {
  addSchedule,
  changePolicy,
  changeRule,
  lockSchedule,
  removeSchedule,
  type ScheduleRow,
} from './schedule-rows.ts';
import { expectNext, tick } from './tick.ts';

/** How a stored schedule differs from what the configuration says. */
export function differs(
  row: ScheduleRow | undefined,
  definition: ScheduleDefinition,
): 'unknown' | 'rule' | 'policy' | undefined {
  if (!row) return 'unknown';
  const { cron, timeZone, enabled, catchUp, overlap } = definition;
  const isSameRule = row.cron === cron && row.time_zone === timeZone && row.enabled === enabled;
  if (!isSameRule || row.removed_at !== null) return 'rule';
  return row.catch_up === catchUp && row.overlap === overlap ? undefined : 'policy';
}

/**
 * Stores what the configuration says of a schedule, in the caller's transaction. What had come by the old rule is recorded first; from `now`
 * on the new one holds. One that was switched off, or was not configured, catches up on nothing of that time.
 */
export async function takeOver(tx: Tx, definition: ScheduleDefinition, now: Date): Promise<void> {
  if (await addSchedule(tx, definition, now)) {
    if (definition.enabled) await expectNext(tx, definition, { after: now });
    return;
  }
  const row = await lockSchedule(tx, definition.name);
  const difference = differs(row, definition);
  if (row && difference === 'rule') await replaceRule(tx, definition, { row, now });
  if (difference !== undefined) await changePolicy(tx, definition);
}

async function replaceRule(
  tx: Tx,
  definition: ScheduleDefinition,
  { row, now }: { row: ScheduleRow; now: Date },
): Promise<void> {
  const rule = { cron: row.cron, timeZone: row.time_zone };
  while ((await tick(tx, definition, { now, rule })).more);
  await forgetExpected(tx, definition.name);
  await changeRule(tx, definition, now);
  if (definition.enabled) await expectNext(tx, definition, { after: now });
}

/** The configuration names it no more: it fires no more. */
export async function letGo(tx: Tx, name: string, now: Date): Promise<void> {
  await lockSchedule(tx, name);
  await forgetExpected(tx, name);
  await removeSchedule(tx, name, now);
}
