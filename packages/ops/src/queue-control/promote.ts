import { type Actor, audit } from '../audit/index.ts';
import { sql, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import { findRun, type Run } from './runs.ts';

export interface JobRequest {
  readonly queue: string;
  readonly jobId: string;
  readonly actor: Actor;
}

/**
 * Lets a delayed job run now. The dispatcher offers it again and tells Redis, also when Redis is away at present.
 * Throws refusal `not_found`, or `job_not_delayed` with the job's state and who promoted it before.
 */
export async function promoteJob(tx: Tx, { queue, jobId, actor }: JobRequest): Promise<Run> {
  const { rowCount } = await tx.query(sql`
    update ops.job_run set run_at = clock_timestamp()
    where run_key = ${jobId} and queue = ${queue} and state = 'enqueued' and started = finished
      and run_at > clock_timestamp()`);
  const run = await findRun(tx, queue, jobId);
  if (!run) throw refuse('not_found');
  if (rowCount === 0) {
    const before = await lastAct(tx, jobId, 'job.promoted');
    throw refuse('job_not_delayed', { state: run.state, ...before });
  }
  await tx.query(sql`update ops.job_outbox set dispatched_at = null where run_key = ${jobId}`);
  await audit(tx, { actor, action: 'job.promoted', targetType: 'job', targetId: jobId, details: { queue } });
  tx.wake('jobs');
  return run;
}

/** Who did it last: `by`, `at` and `via`; nothing when nobody did. */
export async function lastAct(tx: Tx, jobId: string, action: string): Promise<Record<string, unknown>> {
  const { rows } = await tx.query<{ by: string; at: Date; via: string }>(sql`
    select actor_name as by, at, via from ops.audit_log
    where target_type = 'job' and target_id = ${jobId} and action = ${action}
    order by seq desc limit 1`);
  return { ...rows[0] };
}
