import { letterRetention } from './dead-letters/index.ts';
import { retainJobs, retention } from './queues/index.ts';
import type { Database } from './postgres/index.ts';
import { retainSchedules, scheduleRetention } from './schedules/index.ts';

/** How long the rows of a table stay. */
export interface TableRetention {
  /** With its schema: `ops.job_run`. */
  readonly table: string;
  /** Days after which a row that ended goes; `null`: never by age. */
  readonly days: number | null;
  /** From when the days count, or why a row stays, or with what it goes. */
  readonly rule: string;
}

const { runDays, idempotencyKeyDays, workerDays } = retention;
const { closedDays, hourDays, redriveDays, groupDays } = letterRetention;
const withLetter = 'with its letter';

/** Every table of the plane. */
export const opsTables: readonly TableRetention[] = [
  { table: 'ops.job_run', days: runDays, rule: 'after its end; a dead one with its letter' },
  { table: 'ops.job_payload', days: null, rule: 'with its run' },
  { table: 'ops.job_outbox', days: null, rule: 'until the verdict of its run' },
  { table: 'ops.job_death', days: null, rule: 'a sum by queue' },
  { table: 'ops.attempt_minute', days: 1, rule: 'after its minute, by the worker' },
  { table: 'ops.worker', days: workerDays, rule: 'after it was last seen' },
  { table: 'ops.queue', days: null, rule: 'one row a queue' },
  { table: 'ops.lease', days: null, rule: 'one row a lease' },
  { table: 'ops.lease_term', days: scheduleRetention.leaseTermDays, rule: 'after it was taken; the newest stays' },
  { table: 'ops.idempotency_key', days: idempotencyKeyDays, rule: 'after its first use' },
  { table: 'ops.audit_log', days: null, rule: 'for ever' },
  { table: 'ops.audit_chain', days: null, rule: 'for ever' },
  { table: 'ops.audit_pending', days: null, rule: 'until it is linked' },
  { table: 'ops.event_outbox', days: null, rule: 'until every consumer has settled it' },
  { table: 'ops.dead_letter_queue', days: closedDays, rule: 'after it was closed, by dlq-cleanup; an open one never' },
  { table: 'ops.dead_letter_payload', days: null, rule: withLetter },
  { table: 'ops.dead_letter_note', days: null, rule: 'with its letter or group' },
  { table: 'ops.dead_letter_group', days: groupDays, rule: 'after its last letter went, by dlq-cleanup' },
  { table: 'ops.dead_letter_hour', days: hourDays, rule: 'after its hour, by dlq-cleanup' },
  { table: 'ops.dead_letter_change', days: null, rule: 'until it is added to the sums' },
  { table: 'ops.dead_letter_stock', days: null, rule: 'a sum by group' },
  { table: 'ops.capture_probe', days: null, rule: 'one row a queue' },
  { table: 'ops.redrive', days: redriveDays, rule: 'after its end, by dlq-cleanup' },
  { table: 'ops.redrive_item', days: null, rule: 'with its redrive' },
  { table: 'ops.saved_view', days: null, rule: 'until its owner removes it' },
  { table: 'ops.signing_key', days: null, rule: 'for ever' },
  { table: 'ops.schedule', days: null, rule: 'one row a schedule' },
  { table: 'ops.schedule_run', days: scheduleRetention.runDays, rule: 'after its fire time' },
  { table: 'ops.invariant_run', days: 7, rule: 'after it began, by the look that follows' },
  { table: 'ops.migration', days: null, rule: 'for ever' },
];

/**
 * Removes rows of the plane after their time, but those of dead letters, in short batches. Answers how many went, by table; a signal stops
 * it after the batch under way.
 */
export async function retainRows(db: Database, signal: AbortSignal): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const retain of [retainJobs, retainSchedules]) {
    for (let more = true; more && !signal.aborted; ) {
      const batch = await retain(db);
      for (const [table, rows] of Object.entries(batch.deleted)) counts[table] = (counts[table] ?? 0) + rows;
      more = batch.more;
    }
  }
  return counts;
}
