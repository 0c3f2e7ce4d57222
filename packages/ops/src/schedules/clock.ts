import { type Queryable, sql } from '../postgres/index.ts';

/** What time it is. Of schedules only the clock of the database counts, which all processes share. */
export type Clock = (db: Queryable) => Promise<Date>;

export const databaseClock: Clock = async (db) => {
  const { rows } = await db.query<{ now: Date }>(sql`select clock_timestamp() as now`);
  return rows[0]?.now ?? new Date();
};
