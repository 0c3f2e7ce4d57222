import { audit, systemActor } from '../audit/index.ts';
import { currentContext, type Logger } from '../logging/index.ts';
import { type Database, sql, type Tx } from '../postgres/index.ts';
import {
  bury,
  done,
  type Job,
  type JobHandler,
  type JobOutcome,
  type PayloadOf,
  PermanentError,
  snooze,
} from '../queues/index.ts';
import { type Clock, databaseClock } from './clock.ts';
import type { Counts, ScheduleDefinition } from './definition.ts';
import type { schedulerQueue } from './queue.ts';
import { lockRun, markDone, markStarted, neighbours, type RunRow } from './run-rows.ts';
import { lockSchedule } from './schedule-rows.ts';
import { startVerdict, type StartVerdict } from './start-verdict.ts';

export interface RunDeps {
  readonly db: Database;
  readonly schedules: readonly ScheduleDefinition[];
  readonly log: Logger;
  /** Default that of the database. */
  readonly clock?: Clock;
}

type ScheduleJob = Job<PayloadOf<typeof schedulerQueue, 'run_schedule'>>;

/** Between two looks whether the run that is under way has ended, in ms. */
const waitMs = 2_000;

/** Does the jobs of the queue `scheduler`. The end of a run, its audit row and the verdict of its job are one commit. */
export function openScheduleHandler(deps: RunDeps): JobHandler<ScheduleJob['payload']> {
  const byName = new Map(deps.schedules.map((definition) => [definition.name, definition]));
  return async (job) => {
    const definition = byName.get(job.payload.schedule);
    if (!definition) return bury(new PermanentError('no schedule of this name is configured'));
    const { verdict, run } = await begin(deps, definition, job);
    if (verdict === 'wait') return snooze(waitMs, 'another run of the schedule is under way');
    if (verdict !== 'start' || !run) return done;
    return perform(deps, { definition, job, run });
  };
}

interface Begun {
  readonly verdict: StartVerdict;
  readonly run?: RunRow;
}

/** The row of the schedule is locked meanwhile: of two runs that must not overlap one starts. */
async function begin(
  { db, clock = databaseClock }: RunDeps,
  definition: ScheduleDefinition,
  { payload, rootKey }: ScheduleJob,
): Promise<Begun> {
  return db.transaction(async (tx) => {
    await lockSchedule(tx, definition.name);
    const run = await lockRun(tx, payload.run_id);
    if (!run) return { verdict: 'leave' };
    const verdict = startVerdict({ run, rootKey, definition, ...(await neighbours(tx, run)) });
    if (verdict === 'switched_off') await markSwitchedOff(tx, run.id);
    return verdict === 'start' ? { verdict, run: await markStarted(tx, run.id, await clock(tx)) } : { verdict };
  });
}

async function markSwitchedOff(tx: Tx, id: string): Promise<void> {
  await tx.query(sql`update ops.schedule_run set state = 'missed', reason = 'switched_off' where id = ${id}`);
}

interface Performance {
  readonly definition: ScheduleDefinition;
  readonly job: ScheduleJob;
  readonly run: RunRow;
}

async function perform(deps: RunDeps, { definition, job, run }: Performance): Promise<JobOutcome> {
  const { db, log, clock = databaseClock } = deps;
  const of = { schedule: definition.name, run_id: run.id };
  const begun = performance.now();
  log.info('scheduled_job_started', of);
  const counts = await definition.run({
    runId: run.id,
    fireAt: run.fire_at,
    now: await clock(db),
    correlationId: currentContext()?.correlationId ?? run.correlation_id ?? run.id,
    signal: AbortSignal.any([job.signal, AbortSignal.timeout(definition.timeoutMs)]),
    log,
  });
  checkCounts(counts);
  await job.commit(async (tx) => {
    await lockSchedule(tx, definition.name);
    await markDone(tx, run.id, { now: await clock(tx), counts });
    await auditRun(tx, { definition, run, counts });
  });
  log.info('scheduled_job_completed', { ...of, duration_ms: Math.round(performance.now() - begun), ...counts });
  return done;
}

/** What is no integer would be stored as something else than was counted. */
function checkCounts(counts: Counts): void {
  const wrong = Object.entries(counts).find(([, count]) => !Number.isSafeInteger(count));
  if (wrong) throw new PermanentError(`the count ${wrong[0]} of a run must be an integer`);
}

async function auditRun(
  tx: Tx,
  { definition, run, counts }: { definition: ScheduleDefinition; run: RunRow; counts: Counts },
): Promise<void> {
  await audit(tx, {
    actor: systemActor,
    action: definition.auditAction,
    targetType: 'schedule',
    targetId: definition.name,
    details: { run_id: run.id, fire_at: run.fire_at.toISOString(), origin: run.origin, ...counts },
  });
}
