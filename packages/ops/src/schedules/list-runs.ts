import { type Queryable, sql } from '../postgres/index.ts';
import type { ScheduleRun } from './contract.ts';
import type { RunRow } from './run-rows.ts';

export interface RunsRequest {
  readonly schedule: string;
  readonly state?: RunRow['state'] | undefined;
  readonly limit: number;
  /** The last row of the page before: its fire time and id. */
  readonly from?: readonly [fireAt: string, id: string] | undefined;
}

export interface RunsPage {
  readonly runs: ScheduleRun[];
  /** Where the next page begins. */
  readonly next: readonly [fireAt: string, id: string] | undefined;
}

/** The ledger of one schedule, newest first; the one that is expected next leads. */
export async function listRuns(db: Queryable, { schedule, state, limit, from }: RunsRequest): Promise<RunsPage> {
  const { rows } = await db.query<RunRow>(sql`
    select * from ops.schedule_run
    where schedule = ${schedule} ${state === undefined ? sql`` : sql`and state = ${state}`}
      ${from === undefined ? sql`` : sql`and (fire_at, id) < (${from[0]}::timestamptz, ${from[1]}::uuid)`}
    order by fire_at desc, id desc limit ${limit + 1}`);
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return { runs: page.map(viewRun), next: last && [last.fire_at.toISOString(), last.id] };
}

/** A row of the ledger as the API shows it. */
export function viewRun(row: RunRow): ScheduleRun {
  const { started_at, ended_at } = row;
  return {
    run_id: row.id,
    schedule: row.schedule,
    expected_at: row.fire_at.toISOString(),
    state: row.state,
    reason: row.reason,
    marks: [...(row.late ? (['late'] as const) : []), ...(row.overran ? (['overran'] as const) : [])],
    origin: row.origin,
    started_at: started_at?.toISOString() ?? null,
    ended_at: ended_at?.toISOString() ?? null,
    duration_ms: started_at && ended_at ? ended_at.getTime() - started_at.getTime() : null,
    counts: row.counts,
    job_id: row.run_key,
    dead_letter_id: row.dead_letter_id,
    correlation_id: row.correlation_id,
  };
}
