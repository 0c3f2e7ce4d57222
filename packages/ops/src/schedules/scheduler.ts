import { type Failpoint, noFailpoints } from '../failpoints/index.ts';
import type { Lease } from '../leases/index.ts';
import type { Logger } from '../logging/index.ts';
import { repeating, type Runnable } from '../loops/index.ts';
import type { Database } from '../postgres/index.ts';
import { type Clock, databaseClock } from './clock.ts';
import type { ScheduleDefinition } from './definition.ts';
import { nextFireTime } from './fire-times.ts';
import { markOverdue, type RunRow } from './run-rows.ts';
import { readSchedules, type ScheduleRow } from './schedule-rows.ts';
import { differs, letGo, takeOver } from './take-over.ts';
import { tick } from './tick.ts';

export interface SchedulerDeps {
  readonly db: Database;
  readonly schedules: readonly ScheduleDefinition[];
  readonly log: Logger;
  /** Default that of the database. */
  readonly clock?: Clock;
  /** For tests: stops it at a named point. Default none. */
  readonly failpoint?: Failpoint;
}

/** The loop that records fire times when they come, and plans their runs. One process works at a time; two would only repeat each other. */
export function openScheduler(deps: SchedulerDeps & { lease: Lease; everyMs: number }): Runnable {
  const { lease, log, everyMs } = deps;
  const loop = repeating({
    name: 'schedules',
    everyMs,
    onError: (error) => log.error('loop_failed', error, { loop: 'schedules' }),
    async runOnce(signal) {
      if (await lease.hold()) await tickAll(deps, signal);
      return { more: false };
    },
  });
  return {
    name: 'schedules',
    start: () => loop.start(),
    async stop() {
      await loop.stop();
      await lease
        .resign()
        .catch((error: unknown) => log.warn('lease_lost', { lease: 'schedules', error: String(error) }));
    },
  };
}

/** One pass over every schedule. What fails with one of them holds up none of the others. */
export async function tickAll(deps: SchedulerDeps, signal?: AbortSignal): Promise<void> {
  const { db, schedules, log, clock = databaseClock } = deps;
  const rows = new Map((await readSchedules(db)).map((row) => [row.name, row]));
  const now = await clock(db);
  // First, so that a run whose job did not start in time holds up none that follows.
  tellOverdue(log, await db.transaction((tx) => markOverdue(tx, now)));
  for (const definition of schedules) {
    if (signal?.aborted) return;
    try {
      await bringUpToDate(deps, { definition, row: rows.get(definition.name), now });
    } catch (error) {
      log.error('loop_failed', error, { loop: 'schedules', schedule: definition.name });
    }
  }
  await letOthersGo(deps, [...rows.values()], now);
}

interface Turn {
  readonly definition: ScheduleDefinition;
  readonly row: ScheduleRow | undefined;
  readonly now: Date;
}

async function bringUpToDate(deps: SchedulerDeps, { definition, row, now }: Turn): Promise<void> {
  const { db, log, clock = databaseClock } = deps;
  const difference = differs(row, definition);
  if (difference !== undefined) {
    await db.transaction(async (tx) => takeOver(tx, definition, await clock(tx)));
    log.info('schedule_taken_over', { schedule: definition.name, difference, enabled: definition.enabled });
    return;
  }
  if (!row || !definition.enabled || !isDue(definition, row.last_tick, now)) return;
  while (await tickOnce(deps, definition));
}

const nextDue = new WeakMap<ScheduleDefinition, { readonly after: number; readonly at: Date }>();

/** Whether a fire time has come since the last tick. The next one is kept: to find it every second would be a seventh of an idle scheduler. */
function isDue(definition: ScheduleDefinition, lastTick: Date, now: Date): boolean {
  const after = lastTick.getTime();
  let next = nextDue.get(definition);
  if (next?.after !== after) nextDue.set(definition, (next = { after, at: nextFireTime(definition, lastTick) }));
  return next.at <= now;
}

async function tickOnce(deps: SchedulerDeps, definition: ScheduleDefinition): Promise<boolean> {
  const { db, log, clock = databaseClock, failpoint = noFailpoints } = deps;
  const { runs, more } = await db.transaction(async (tx) => {
    const ticked = await tick(tx, definition, { now: await clock(tx) });
    await failpoint('schedule.inside_tick');
    return ticked;
  });
  await failpoint('schedule.after_tick');
  tellTicked(log, definition.name, runs);
  return more;
}

async function letOthersGo({ db, schedules, log }: SchedulerDeps, rows: readonly ScheduleRow[], now: Date) {
  const names = new Set(schedules.map(({ name }) => name));
  for (const { name, removed_at } of rows) {
    if (names.has(name) || removed_at !== null) continue;
    await db.transaction((tx) => letGo(tx, name, now));
    log.warn('schedule_taken_over', { schedule: name, difference: 'removed', enabled: false });
  }
}

function tellTicked(log: Logger, schedule: string, runs: readonly RunRow[]): void {
  const missed = runs.filter(({ state }) => state === 'missed');
  if (missed.length > 0)
    log.warn('schedule_runs_missed', { schedule, missed: missed.length, since: missed[0]?.fire_at.toISOString() });
  for (const { id, state, reason, fire_at } of runs)
    if (state === 'skipped' && reason === 'overlap')
      log.warn('schedule_run_skipped', { schedule, run_id: id, reason, fire_at: fire_at.toISOString() });
}

function tellOverdue(log: Logger, runs: readonly RunRow[]): void {
  for (const { id, schedule, state, fire_at } of runs) {
    const at = { schedule, run_id: id, fire_at: fire_at.toISOString() };
    if (state === 'missed') log.warn('schedule_runs_missed', { ...at, missed: 1, reason: 'not_started' });
    else log.warn('schedule_run_overran', at);
  }
}
