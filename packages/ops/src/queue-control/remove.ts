import { audit } from '../audit/index.ts';
import { captureRemoved } from '../dead-letters/index.ts';
import type { Tx } from '../postgres/index.ts';
import type { DeathHooks, RedisQueues } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';
import type { JobRequest } from './promote.ts';
import { findRun } from './runs.ts';

export interface RemoveRequest extends JobRequest {
  readonly reason: string;
  /** Where the job waits: it is taken away after the commit. */
  readonly queues: RedisQueues;
  /** Told of the death once its letter is there. */
  readonly hooks: DeathHooks;
}

/** A removed job. `already`: it was removed before, and nothing was recorded. */
export interface Removed {
  readonly letterId: string;
  readonly already: boolean;
}

/**
 * Ends a job that is not under way, with cause `removed` and a letter born discarded. The worker's start and the removal race on
 * one row. What of it stays in Redis is never run: its run is dead.
 * Throws refusal `not_found`, `job_active`, or `job_ended` with the verdict.
 */
export async function removeJob(tx: Tx, request: RemoveRequest): Promise<Removed> {
  const { queue, jobId, actor, reason, queues, hooks } = request;
  const run = await findRun(tx, queue, jobId);
  if (!run) throw refuse('not_found');
  const captured = await captureRemoved(tx, jobId, { actor, reason, workerId: actor.id, queue, hooks });
  if (!captured) return refuseRemoval(tx, queue, jobId);
  const { letterId } = captured;
  await audit(tx, {
    actor,
    action: 'job.removed',
    targetType: 'job',
    targetId: jobId,
    reason,
    details: { queue, dead_letter_id: letterId },
  });
  tx.afterCommit(() => void queues.remove(queue, jobId).catch(() => {}));
  return { letterId, already: false };
}

async function refuseRemoval(tx: Tx, queue: string, jobId: string): Promise<Removed> {
  const run = await findRun(tx, queue, jobId);
  if (!run) throw refuse('not_found');
  if (run.cause === 'removed' && run.letter_id !== null) return { letterId: run.letter_id, already: true };
  if (run.state === 'done' || run.state === 'dead') {
    throw refuse('job_ended', { state: run.state, cause: run.cause, dead_letter_id: run.letter_id });
  }
  throw refuse('job_active', { started_at: run.last_started_at });
}
