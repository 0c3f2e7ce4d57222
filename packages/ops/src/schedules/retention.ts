import { type Database, sql } from '../postgres/index.ts';

/** How long the ledger and the holders of leases are kept, in days. */
export const scheduleRetention = { runDays: 90, leaseTermDays: 90 } as const;

const batchSize = 5_000;

/** Removes one batch of runs that ended and of terms that are over. Answers how many rows went, by table; call again while `more`. */
export async function retainSchedules(db: Database): Promise<{ deleted: Record<string, number>; more: boolean }> {
  const runs = await db.query(sql`
    delete from ops.schedule_run where id in (
      select id from ops.schedule_run
      where fire_at < clock_timestamp() - ${scheduleRetention.runDays} * interval '1 day'
        and state not in ('expected', 'started')
      order by fire_at limit ${batchSize})`);
  // The newest term of a lease stays: the next one must be larger.
  const terms = await db.query(sql`
    delete from ops.lease_term t
    where acquired_at < clock_timestamp() - ${scheduleRetention.leaseTermDays} * interval '1 day'
      and exists (select from ops.lease_term newer where newer.name = t.name and newer.term > t.term
                    and newer.acquired_at < clock_timestamp() - ${scheduleRetention.leaseTermDays} * interval '1 day')`);
  return {
    deleted: { schedule_run: runs.rowCount, lease_term: terms.rowCount },
    more: runs.rowCount >= batchSize,
  };
}
