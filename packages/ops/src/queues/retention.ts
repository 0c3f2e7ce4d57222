import { type Database, sql } from '../postgres/index.ts';

/** How long rows of ended work stay. Dead runs keep their evidence as long as their run. */
export const retention = { doneOutboxMinutes: 10, runDays: 30, idempotencyKeyDays: 7, workerDays: 7 } as const;

const batchSize = 5_000;

/** Deletes one batch of each; answers how many rows went, by table. Locks are short: call again while `more`. */
export async function retainOnce(db: Database): Promise<{ deleted: Record<string, number>; more: boolean }> {
  const deleted = {
    job_outbox: await count(db, sql`
      delete from ops.job_outbox where run_key in (
        select o.run_key from ops.job_outbox o join ops.job_run r using (run_key)
        where r.state = 'done' and r.finished_at < clock_timestamp() - ${retention.doneOutboxMinutes} * interval '1 minute'
        limit ${batchSize})`),
    job_run: await count(db, sql`
      delete from ops.job_run where run_key in (
        select run_key from ops.job_run
        where state <> 'enqueued' and finished_at < clock_timestamp() - ${retention.runDays} * interval '1 day'
        order by finished_at limit ${batchSize})`),
    idempotency_key: await count(db, sql`
      delete from ops.idempotency_key where (actor, route, key) in (
        select actor, route, key from ops.idempotency_key
        where created_at < clock_timestamp() - ${retention.idempotencyKeyDays} * interval '1 day'
        order by created_at limit ${batchSize})`),
    worker: await count(db, sql`
      delete from ops.worker where last_seen_at < clock_timestamp() - ${retention.workerDays} * interval '1 day'`),
  };
  return { deleted, more: Object.values(deleted).some((rows) => rows >= batchSize) };
}

async function count(db: Database, statement: ReturnType<typeof sql>): Promise<number> {
  return (await db.query(statement)).rowCount;
}
