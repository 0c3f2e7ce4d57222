import { randomUUID } from 'node:crypto';
import type { Tx } from '../postgres/index.ts';
import { enqueueMany } from '../queues/index.ts';
import type { ScheduleDefinition } from './definition.ts';
import { fireTimes, nextFireTime, type Rule } from './fire-times.ts';
import { graceOf, limitOf, missedAfter } from './intervals.ts';
import { planTicks, type Tick } from './plan-ticks.ts';
import { schedulerQueue } from './queue.ts';
import { firstOpenRun, type RunEntry, type RunRow, writeTicks } from './run-rows.ts';
import { lockSchedule, moveTick, type ScheduleRow } from './schedule-rows.ts';

/** Fire times recorded in one transaction, after a long outage. */
const mostAtOnce = 2_000;

export interface Ticked {
  /** Rows written for fire times that have come. */
  readonly runs: readonly RunRow[];
  /** More have come: tick again. */
  readonly more: boolean;
}

/**
 * Records the fire times of one schedule that have come since its last tick, with the jobs of those that run, the next expected one and the
 * new last tick: all in the caller's transaction. A second or late scheduler finds nothing left, or rows that are there.
 */
export async function tick(
  tx: Tx,
  definition: ScheduleDefinition,
  { now, rule = definition }: { now: Date; rule?: Rule },
): Promise<Ticked> {
  const row = await lockSchedule(tx, definition.name);
  if (!row?.enabled || row.removed_at !== null) return { runs: [], more: false };
  const { due, next, more } = comeSince(row.last_tick, { now, rule, keep: definition.catchUpLimit });
  if (due.length === 0) return { runs: [], more: false };
  const { catchUp, catchUpLimit, overlap, name } = definition;
  const isHeldUp = !overlap && (await firstOpenRun(tx, name)) !== undefined;
  const ticks = planTicks({ due, next, now, catchUp, catchUpLimit, isHeldUp, pause: pauseOf(row), more });
  const runs = await writeTicks(
    tx,
    name,
    ticks.map((one) => entryOf(definition, one, now)),
  );
  if (!more) await expectNext(tx, definition, { after: now, rule });
  await moveTick(tx, name, more ? (due.at(-1) ?? now) : now);
  await handOver(tx, runs);
  return { runs, more };
}

interface Since {
  readonly now: Date;
  readonly rule: Rule;
  /** So many of the newest stay together: a policy may want to run all of them. */
  readonly keep: number;
}

function comeSince(last: Date, { now, rule, keep }: Since): { due: Date[]; next: Date; more: boolean } {
  const found = fireTimes(rule, { after: last, until: now, most: mostAtOnce + keep + 1 });
  const more = found.length > mostAtOnce + keep;
  const due = more ? found.slice(0, mostAtOnce) : found;
  return { due, next: found[due.length] ?? nextFireTime(rule, now), more };
}

function pauseOf({ paused_at, paused_until }: ScheduleRow) {
  return paused_at === null ? undefined : { from: paused_at, until: paused_until };
}

/** Writes the row of the next fire time before it is due. */
export async function expectNext(
  tx: Tx,
  definition: ScheduleDefinition,
  { after, rule = definition }: { after: Date; rule?: Rule },
): Promise<void> {
  const fireAt = nextFireTime(rule, after);
  const nextAt = nextFireTime(rule, fireAt);
  const entry = {
    ...timesOf(definition, { fireAt, nextAt, now: after }),
    origin: 'schedule',
    state: 'expected',
  } as const;
  await writeTicks(tx, definition.name, [entry]);
}

function entryOf(definition: ScheduleDefinition, one: Tick, now: Date): RunEntry {
  const times = timesOf(definition, { ...one, now: one.runs === 'catch_up' ? now : one.fireAt });
  if (!one.runs) return { ...times, origin: 'schedule', state: one.state, reason: one.reason };
  return { ...times, origin: one.runs, state: 'expected', ...jobOf(definition.name, one.fireAt) };
}

/** The key names the tick, so that its job exists once, whoever plans it. */
export function jobOf(name: string, fireAt: Date, suffix = ''): { run_key: string; correlation_id: string } {
  return { run_key: `sch-${name}-${Math.floor(fireAt.getTime() / 1_000)}${suffix}`, correlation_id: randomUUID() };
}

/** When a run is late, missed and too long. One that is caught up could not start before `now`. */
export function timesOf(
  definition: ScheduleDefinition,
  { fireAt, nextAt, now }: { fireAt: Date; nextAt: Date; now: Date },
): Pick<RunEntry, 'fire_at' | 'next_at' | 'late_after' | 'miss_after' | 'limit_ms'> {
  const intervalMs = nextAt.getTime() - fireAt.getTime();
  return {
    fire_at: fireAt,
    next_at: nextAt,
    late_after: new Date(fireAt.getTime() + graceOf(definition, intervalMs)),
    miss_after: new Date(Math.max(fireAt.getTime(), now.getTime()) + missedAfter(intervalMs)),
    limit_ms: Math.round(limitOf(definition, intervalMs)),
  };
}

/** Plans the jobs of rows that have a run key. */
export async function handOver(tx: Tx, runs: readonly RunRow[]): Promise<void> {
  const drafts = runs.flatMap(({ id, schedule, fire_at, run_key, correlation_id }) =>
    run_key === null
      ? []
      : [
          {
            key: run_key,
            context: { correlationId: correlation_id ?? id },
            payload: { v: 1 as const, schedule, run_id: id, fire_at: fire_at.toISOString() },
          },
        ],
  );
  await enqueueMany(tx, schedulerQueue, 'run_schedule', drafts);
}
