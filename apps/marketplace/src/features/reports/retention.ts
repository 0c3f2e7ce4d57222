import { type Queryable, sql } from '@fmhl/ops';

/** Days that the record of an export stays, long after its file. */
const keptDays = 90;

/** Removes records of exports that were asked for 90 days ago and have ended, `limit` of them. Answers how many. */
export async function removeOldExports(db: Queryable, { now, limit }: { now: Date; limit: number }): Promise<number> {
  const { rowCount } = await db.query(sql`
    delete from export_job where id in (
      select id from export_job
      where created_at < ${now}::timestamptz - ${keptDays} * interval '1 day'
        and status in ('expired', 'failed', 'cancelled') and storage_key is null
      order by created_at limit ${limit} for update skip locked)`);
  return rowCount;
}
