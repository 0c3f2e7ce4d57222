import { type Database, sql } from '../postgres/index.ts';

/**
 * How long rows of finished work stay. A dead run stays: it and its payload are all that is known of the death.
 * Payloads go with their runs; outbox rows went with the verdict.
 */
export const retention = { runDays: 30, idempotencyKeyDays: 7, workerDays: 7 } as const;

const batchSize = 5_000;

/** Deletes one batch of each; answers how many rows went, by table. Locks are short: call again while `more`. */
export async function retainJobs(db: Database): Promise<{ deleted: Record<string, number>; more: boolean }> {
  const deleted = {
    job_run: await count(
      db,
      sql`
      delete from ops.job_run where run_key in (
        select run_key from ops.job_run
        where state = 'done' and enqueued_at < clock_timestamp() - ${retention.runDays} * interval '1 day'
          and finished_at < clock_timestamp() - ${retention.runDays} * interval '1 day'
        limit ${batchSize})`,
    ),
    idempotency_key: await count(
      db,
      sql`
      delete from ops.idempotency_key where (actor, route, key) in (
        select actor, route, key from ops.idempotency_key
        where created_at < clock_timestamp() - ${retention.idempotencyKeyDays} * interval '1 day'
        order by created_at limit ${batchSize})`,
    ),
    worker: await count(
      db,
      sql`
      delete from ops.worker where last_seen_at < clock_timestamp() - ${retention.workerDays} * interval '1 day'`,
    ),
  };
  return { deleted, more: Object.values(deleted).some((rows) => rows >= batchSize) };
}

async function count(db: Database, statement: ReturnType<typeof sql>): Promise<number> {
  return (await db.query(statement)).rowCount;
}
