import { type Queryable, sql } from '../postgres/index.ts';
import type { ScheduleDefinition } from './definition.ts';
import { fireTimes } from './fire-times.ts';
import { readSchedules } from './schedule-rows.ts';

/** A fire time that the ledger and the rule disagree on. */
export interface Mismatch {
  readonly schedule: string;
  readonly fire_at: string;
  /** `unrecorded`: the rule has it, the ledger has not; `invented`: the other way round. */
  readonly what: 'unrecorded' | 'invented';
}

/**
 * Computes the fire times of each schedule again, since its rule was last changed or for the last `days`, up to its last tick, and answers
 * where the ledger differs: nowhere, ever. This is S1 by the rules themselves; {@link scheduleInvariants} have it in SQL.
 */
export async function compareFireTimes(
  db: Queryable,
  schedules: readonly ScheduleDefinition[],
  { days = 8 }: { days?: number } = {},
): Promise<Mismatch[]> {
  const rows = await readSchedules(db);
  const mismatches: Mismatch[] = [];
  for (const row of rows) {
    const definition = schedules.find(({ name }) => name === row.name);
    if (!definition || !row.enabled || row.removed_at !== null) continue;
    const after = new Date(Math.max(row.ruled_since.getTime(), row.last_tick.getTime() - days * 86_400_000));
    const rule = { cron: row.cron, timeZone: row.time_zone };
    const expected = fireTimes(rule, { after, until: row.last_tick }).map((time) => time.toISOString());
    const recorded = await readRecorded(db, row.name, { after, until: row.last_tick });
    mismatches.push(...differences(row.name, expected, recorded));
  }
  return mismatches;
}

async function readRecorded(db: Queryable, schedule: string, span: { after: Date; until: Date }): Promise<string[]> {
  const { rows } = await db.query<{ fire_at: Date }>(sql`
    select fire_at from ops.schedule_run
    where schedule = ${schedule} and origin <> 'manual' and fire_at > ${span.after} and fire_at <= ${span.until}
    order by fire_at`);
  return rows.map(({ fire_at }) => fire_at.toISOString());
}

function differences(schedule: string, expected: readonly string[], recorded: readonly string[]): Mismatch[] {
  const [rule, ledger] = [new Set(expected), new Set(recorded)];
  return [
    ...expected
      .filter((time) => !ledger.has(time))
      .map((fire_at) => ({ schedule, fire_at, what: 'unrecorded' as const })),
    ...recorded.filter((time) => !rule.has(time)).map((fire_at) => ({ schedule, fire_at, what: 'invented' as const })),
  ];
}
