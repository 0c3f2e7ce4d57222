import { type Actor, audit } from '../audit/index.ts';
import { sql, type Tx } from '../postgres/index.ts';
import { type Clock, databaseClock } from './clock.ts';
import type { CaughtUp } from './contract.ts';
import type { ScheduleDefinition } from './definition.ts';
import { missedAfter } from './intervals.ts';
import { lockRunnable } from './named.ts';
import type { RunRow } from './run-rows.ts';
import { handOver, jobOf } from './tick.ts';

export interface CatchUpRequest {
  readonly definition: ScheduleDefinition;
  readonly from: Date;
  readonly to: Date;
  readonly actor: Actor;
  /** Not asked for where nothing changes. */
  readonly reason?: string | undefined;
  /** Only tells what would be run. */
  readonly isDryRun: boolean;
  readonly clock?: Clock;
}

/** Ticks that one request runs at most, the oldest. */
const mostTicks = 100;

/** Runs ticks that were missed. A tick is one row, and has one job that may start it: it cannot run twice. */
export async function catchUp(tx: Tx, request: CatchUpRequest): Promise<CaughtUp> {
  const { definition, from, to, isDryRun } = request;
  await lockRunnable(tx, definition);
  const { rows } = await tx.query<RunRow>(sql`
    select * from ops.schedule_run
    where schedule = ${definition.name} and state = 'missed' and fire_at between ${from} and ${to}
    order by fire_at limit ${mostTicks + 1} for update`);
  const missed = rows.slice(0, mostTicks);
  const planned = isDryRun ? missed.map((run) => ({ ...run, run_key: null })) : await planAgain(tx, request, missed);
  return {
    dry_run: isDryRun,
    ticks: planned.map(({ id, fire_at, run_key }) => ({
      run_id: id,
      expected_at: fire_at.toISOString(),
      job_id: run_key,
    })),
    more: rows.length > mostTicks,
  };
}

async function planAgain(
  tx: Tx,
  { definition, from, to, actor, reason, clock = databaseClock }: CatchUpRequest,
  missed: readonly RunRow[],
): Promise<RunRow[]> {
  if (missed.length === 0) return [];
  const now = await clock(tx);
  const jobs = missed.map(({ id, fire_at, plans }) => ({
    id,
    ...jobOf(definition.name, fire_at, plans === 0 ? '' : `-${plans + 1}`),
  }));
  const { rows } = await tx.query<RunRow>(sql`
    update ops.schedule_run r
    set state = 'expected', reason = null, origin = case when origin = 'manual' then origin else 'catch_up' end,
        run_key = j.run_key, correlation_id = j.correlation_id, plans = plans + 1,
        miss_after = ${new Date(now.getTime() + missedAfter(Infinity))}
    from json_to_recordset(${JSON.stringify(jobs)}::json) as j(id uuid, run_key text, correlation_id text)
    where r.id = j.id
    returning r.*`);
  const runs = rows.toSorted((one, other) => one.fire_at.getTime() - other.fire_at.getTime());
  await handOver(tx, runs);
  await audit(tx, {
    actor,
    action: 'schedule.caught_up',
    targetType: 'schedule',
    targetId: definition.name,
    reason,
    details: { from: from.toISOString(), to: to.toISOString(), ticks: runs.length },
  });
  return runs;
}
