import { type Actor, audit } from '../audit/index.ts';
import { sql, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import { type Clock, databaseClock } from './clock.ts';
import type { ControlledSchedule, SchedulePause } from './contract.ts';
import { lockSchedule, type ScheduleRow } from './schedule-rows.ts';

export interface PauseRequest {
  readonly name: string;
  readonly actor: Actor;
  readonly reason?: string | undefined;
  /** Ends by itself after this many seconds. Default: never. */
  readonly forS?: number | undefined;
  readonly clock?: Clock;
}

/** Lets a schedule rest: ticks are skipped and stay in the ledger, a run under way goes on. Who paused it first stands. */
export async function pauseSchedule(tx: Tx, request: PauseRequest): Promise<ControlledSchedule> {
  const { name, actor, reason, forS, clock = databaseClock } = request;
  const now = await clock(tx);
  const current = pauseAt(await existing(tx, name), now);
  if (current) return { name, paused: current, already: true };
  const until = forS === undefined ? null : new Date(now.getTime() + forS * 1_000);
  const { rows } = await tx.query<ScheduleRow>(sql`
    update ops.schedule
    set paused_at = ${now}, paused_by = ${actor.id}, paused_by_name = ${actor.name}, pause_reason = ${reason ?? ''},
        paused_until = ${until}
    where name = ${name} returning *`);
  await audit(tx, {
    actor,
    action: 'schedule.paused',
    targetType: 'schedule',
    targetId: name,
    reason,
    details: { until: until?.toISOString() ?? null },
  });
  return { name, paused: pauseAt(rows[0] as ScheduleRow, now), already: false };
}

/** Ends a pause. What was skipped stays skipped. */
export async function resumeSchedule(tx: Tx, request: Omit<PauseRequest, 'forS'>): Promise<ControlledSchedule> {
  const { name, actor, reason, clock = databaseClock } = request;
  const now = await clock(tx);
  if (!pauseAt(await existing(tx, name), now)) return { name, paused: null, already: true };
  await tx.query(sql`update ops.schedule set paused_until = ${now} where name = ${name}`);
  await audit(tx, { actor, action: 'schedule.resumed', targetType: 'schedule', targetId: name, reason });
  return { name, paused: null, already: false };
}

async function existing(tx: Tx, name: string): Promise<ScheduleRow> {
  const row = await lockSchedule(tx, name);
  if (!row) throw refuse('not_found', { why: 'no scheduler has taken it over yet' });
  return row;
}

/** The pause that holds at a moment; null when it may run. */
export function pauseAt(row: ScheduleRow, now: Date): SchedulePause | null {
  const { paused_at, paused_by_name, pause_reason, paused_until } = row;
  if (paused_at === null || (paused_until !== null && paused_until <= now)) return null;
  return {
    by: paused_by_name ?? 'unknown',
    at: paused_at.toISOString(),
    reason: pause_reason ?? '',
    until: paused_until?.toISOString() ?? null,
  };
}
