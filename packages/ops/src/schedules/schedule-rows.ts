import { type Queryable, sql, type Tx } from '../postgres/index.ts';
import type { ScheduleDefinition } from './definition.ts';

/** A row of `ops.schedule`. */
export interface ScheduleRow {
  readonly name: string;
  readonly cron: string;
  readonly time_zone: string;
  readonly catch_up: ScheduleDefinition['catchUp'];
  readonly overlap: boolean;
  readonly enabled: boolean;
  readonly last_tick: Date;
  readonly ruled_since: Date;
  readonly created_at: Date;
  readonly removed_at: Date | null;
  readonly last_success_at: Date | null;
  readonly paused_at: Date | null;
  readonly paused_by_name: string | null;
  readonly pause_reason: string | null;
  readonly paused_until: Date | null;
}

export async function readSchedules(db: Queryable): Promise<ScheduleRow[]> {
  const { rows } = await db.query<ScheduleRow>(sql`select * from ops.schedule order by name`);
  return rows;
}

/** The row, which nobody else changes until the end of the transaction: runs of a schedule start, and ticks are recorded, one after another. */
export async function lockSchedule(tx: Tx, name: string): Promise<ScheduleRow | undefined> {
  const { rows } = await tx.query<ScheduleRow>(sql`select * from ops.schedule where name = ${name} for no key update`);
  return rows[0];
}

/** Answers false where the schedule is known already. */
export async function addSchedule(tx: Tx, definition: ScheduleDefinition, now: Date): Promise<boolean> {
  const { name, cron, timeZone, catchUp, overlap, enabled } = definition;
  const { rowCount } = await tx.query(sql`
    insert into ops.schedule (name, cron, time_zone, catch_up, overlap, enabled, last_tick, ruled_since, created_at)
    values (${name}, ${cron}, ${timeZone}, ${catchUp}, ${overlap}, ${enabled}, ${now}, ${now}, ${now})
    on conflict (name) do nothing`);
  return rowCount === 1;
}

/** From now on the schedule fires by this rule; what was recorded stays. */
export async function changeRule(
  tx: Tx,
  { name, cron, timeZone, enabled }: ScheduleDefinition,
  now: Date,
): Promise<void> {
  await tx.query(sql`
    update ops.schedule
    set cron = ${cron}, time_zone = ${timeZone}, enabled = ${enabled}, removed_at = null,
        last_tick = greatest(last_tick, ${now}), ruled_since = greatest(last_tick, ${now})
    where name = ${name}`);
}

/** What may change without a break in the fire times. */
export async function changePolicy(tx: Tx, { name, catchUp, overlap }: ScheduleDefinition): Promise<void> {
  await tx.query(sql`update ops.schedule set catch_up = ${catchUp}, overlap = ${overlap} where name = ${name}`);
}

export async function removeSchedule(tx: Tx, name: string, now: Date): Promise<void> {
  await tx.query(sql`update ops.schedule set removed_at = ${now} where name = ${name} and removed_at is null`);
}

export async function moveTick(tx: Tx, name: string, lastTick: Date): Promise<void> {
  await tx.query(sql`update ops.schedule set last_tick = greatest(last_tick, ${lastTick}) where name = ${name}`);
}
