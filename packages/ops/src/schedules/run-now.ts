import { randomUUID } from 'node:crypto';
import { type Actor, audit } from '../audit/index.ts';
import { currentContext } from '../logging/index.ts';
import { sql, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import { type Clock, databaseClock } from './clock.ts';
import type { ScheduleDefinition } from './definition.ts';
import { intervalAfter } from './fire-times.ts';
import { lockRunnable } from './named.ts';
import { firstOpenRun, type RunRow } from './run-rows.ts';
import { handOver, jobOf, timesOf } from './tick.ts';

export interface RunRequest {
  readonly definition: ScheduleDefinition;
  readonly actor: Actor;
  readonly reason: string;
  readonly clock?: Clock;
}

/** Runs a schedule now, whatever its rule says. Throws refusal `run_open` while another run is open and two must not overlap. */
export async function runNow(tx: Tx, request: RunRequest): Promise<{ run_id: string; job_id: string }> {
  const { definition, actor, reason, clock = databaseClock } = request;
  await lockRunnable(tx, definition);
  if (!definition.overlap) await refuseOpen(tx, definition.name);
  const run = await writeManual(tx, definition, await clock(tx));
  await handOver(tx, [run]);
  const { id: run_id, run_key: job_id } = run;
  await audit(tx, {
    actor,
    action: 'schedule.run_requested',
    targetType: 'schedule',
    targetId: definition.name,
    reason,
    details: { run_id, job_id },
  });
  return { run_id, job_id: job_id ?? '' };
}

async function refuseOpen(tx: Tx, name: string): Promise<void> {
  const open = await firstOpenRun(tx, name);
  if (open) throw refuse('run_open', { run_id: open.id, state: open.state, expected_at: open.fire_at.toISOString() });
}

async function writeManual(tx: Tx, definition: ScheduleDefinition, now: Date): Promise<RunRow> {
  const id = randomUUID();
  const nextAt = new Date(now.getTime() + intervalAfter(definition, now));
  const times = timesOf(definition, { fireAt: now, nextAt, now });
  const job = jobOf(definition.name, now, `-${id.slice(0, 8)}`);
  const correlationId = currentContext()?.correlationId ?? job.correlation_id;
  const { rows } = await tx.query<RunRow>(sql`
    insert into ops.schedule_run
      (id, schedule, fire_at, origin, state, run_key, plans, late_after, miss_after, limit_ms, correlation_id)
    values (${id}, ${definition.name}, ${now}, 'manual', 'expected', ${job.run_key}, 1, ${times.late_after},
            ${times.miss_after}, ${times.limit_ms}, ${correlationId})
    returning *`);
  return rows[0] as RunRow;
}
