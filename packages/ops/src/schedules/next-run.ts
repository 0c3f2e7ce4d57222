import { type Queryable, sql } from '../postgres/index.ts';

/** The fire time that the ledger expects next of a schedule; undefined where it expects none. */
export async function nextExpected(db: Queryable, schedule: string, now: Date): Promise<Date | undefined> {
  const { rows } = await db.query<{ fire_at: Date }>(sql`
    select fire_at from ops.schedule_run
    where schedule = ${schedule} and state = 'expected' and fire_at > ${now} order by fire_at limit 1`);
  return rows[0]?.fire_at;
}
