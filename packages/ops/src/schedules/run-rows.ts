import { join, type Queryable, sql, type Tx } from '../postgres/index.ts';

/** A row of `ops.schedule_run`. */
export interface RunRow {
  readonly id: string;
  readonly schedule: string;
  readonly fire_at: Date;
  readonly origin: 'schedule' | 'manual' | 'catch_up';
  readonly state: 'expected' | 'started' | 'done' | 'failed' | 'missed' | 'skipped';
  readonly reason: string | null;
  readonly run_key: string | null;
  readonly plans: number;
  readonly late_after: Date;
  readonly limit_ms: number;
  readonly late: boolean;
  readonly overran: boolean;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
  readonly counts: Readonly<Record<string, number>> | null;
  readonly dead_letter_id: string | null;
  readonly correlation_id: string | null;
}

/** A fire time as the ledger takes it. */
export interface RunEntry {
  readonly fire_at: Date;
  readonly next_at: Date;
  readonly origin: RunRow['origin'];
  readonly state: 'expected' | 'missed' | 'skipped';
  readonly reason?: string;
  readonly run_key?: string;
  readonly late_after: Date;
  readonly miss_after: Date;
  readonly limit_ms: number;
  readonly correlation_id?: string;
}

/** Records fire times. One that is recorded is left as it is, unless it was only expected. Answers those that are as given now. */
export async function writeTicks(tx: Tx, schedule: string, entries: readonly RunEntry[]): Promise<RunRow[]> {
  if (entries.length === 0) return [];
  const { rows } = await tx.query<RunRow>(sql`
    insert into ops.schedule_run as r
      (schedule, fire_at, next_at, origin, state, reason, run_key, plans, late_after, miss_after, limit_ms, correlation_id)
    select ${schedule}, e.fire_at, e.next_at, e.origin, e.state, e.reason, e.run_key, (e.run_key is not null)::int,
           e.late_after, e.miss_after, e.limit_ms, e.correlation_id
    from json_to_recordset(${JSON.stringify(entries)}::json)
      as e(fire_at timestamptz, next_at timestamptz, origin text, state text, reason text, run_key text,
           late_after timestamptz, miss_after timestamptz, limit_ms bigint, correlation_id text)
    on conflict (schedule, fire_at) where origin <> 'manual' do update
    set next_at = excluded.next_at, origin = excluded.origin, state = excluded.state, reason = excluded.reason,
        run_key = excluded.run_key, plans = excluded.plans, late_after = excluded.late_after,
        miss_after = excluded.miss_after, limit_ms = excluded.limit_ms, correlation_id = excluded.correlation_id
      where r.state = 'expected' and r.run_key is null
    returning *`);
  return rows;
}

/** The first run that is under way or waits to start. One whose job came too late waits no more. */
export async function firstOpenRun(db: Queryable, schedule: string): Promise<RunRow | undefined> {
  const { rows } = await db.query<RunRow>(sql`
    select * from ops.schedule_run
    where schedule = ${schedule} and state in ('expected', 'started') and run_key is not null order by fire_at limit 1`);
  return rows[0];
}

/** Takes back what was expected of a rule that is over. */
export async function forgetExpected(tx: Tx, schedule: string): Promise<void> {
  await tx.query(sql`
    with gone as (
      delete from ops.schedule_run where schedule = ${schedule} and state = 'expected' and run_key is null
      returning fire_at)
    update ops.schedule_run r set next_at = null from gone
    where r.schedule = ${schedule} and r.next_at = gone.fire_at`);
}

/** What every pass notes: runs whose job was not started in time, and runs that are longer than their limit. */
export async function markOverdue(tx: Tx, now: Date): Promise<RunRow[]> {
  const { rows } = await tx.query<RunRow>(sql`
    with missed as (
      update ops.schedule_run set state = 'missed', reason = 'not_started'
      where state = 'expected' and run_key is not null and miss_after <= ${now} returning *),
    overrunning as (
      update ops.schedule_run set overran = true
      where state = 'started' and not overran and started_at + limit_ms * interval '1 ms' < ${now} returning *)
    select * from missed union all select * from overrunning`);
  return rows;
}

/** One run, which nobody else changes until the end of the transaction. */
export async function lockRun(tx: Tx, id: string): Promise<RunRow | undefined> {
  const { rows } = await tx.query<RunRow>(sql`select * from ops.schedule_run where id = ${id} for update`);
  return rows[0];
}

/** What else a run must look at before it starts. */
export async function neighbours(
  tx: Tx,
  { schedule, id, fire_at }: RunRow,
): Promise<{ otherStarted: boolean; newerDue: boolean }> {
  const { rows } = await tx.query<{ otherStarted: boolean; newerDue: boolean }>(sql`
    select exists (select from ops.schedule_run where schedule = ${schedule} and state = 'started' and id <> ${id})
             as "otherStarted",
           exists (select from ops.schedule_run
                   where schedule = ${schedule} and fire_at > ${fire_at} and (state <> 'expected' or run_key is not null))
             as "newerDue"`);
  return rows[0] as { otherStarted: boolean; newerDue: boolean };
}

/** The first start stays the start: later attempts are of the same run. The retry of a failed one begins anew, and without its marks. */
export async function markStarted(tx: Tx, id: string, now: Date): Promise<RunRow> {
  const { rows } = await tx.query<RunRow>(sql`
    update ops.schedule_run
    set state = 'started', reason = null, ended_at = null,
        started_at = case when state = 'failed' then ${now} else coalesce(started_at, ${now}) end,
        late = state <> 'failed' and (late or (started_at is null and ${now} > late_after)),
        overran = overran and state <> 'failed'
    where id = ${id} returning *`);
  return rows[0] as RunRow;
}

export async function markDone(tx: Tx, id: string, { now, counts }: { now: Date; counts: object }): Promise<void> {
  await tx.query(sql`
    with run as (
      update ops.schedule_run
      set state = 'done', reason = null, ended_at = ${now}, counts = ${JSON.stringify(counts)},
          overran = overran or ${now} > started_at + limit_ms * interval '1 ms'
      where id = ${id} returning schedule)
    update ops.schedule s set last_success_at = greatest(s.last_success_at, ${now}) from run where s.name = run.schedule`);
}

/** Runs whose jobs died, with the dead letters that hold them. A retry that was removed before it ran leaves its run as it failed. */
export async function markFailed(
  tx: Tx,
  deaths: readonly { readonly rootKey: string; readonly cause: string }[],
  now: Date,
): Promise<RunRow[]> {
  const { rows } = await tx.query<RunRow>(sql`
    update ops.schedule_run r
    set state = 'failed', reason = d.cause, ended_at = ${now},
        dead_letter_id = (select l.id from ops.dead_letter_queue l
                          where l.source = 'queue' and l.queue_name = 'scheduler' and l.root_key = d.root_key)
    from (values ${join(deaths.map(({ rootKey, cause }) => sql`(${rootKey}, ${cause})`))}) as d(root_key, cause)
    where r.run_key = d.root_key and r.state not in ('done', 'skipped')
      and not (r.state = 'failed' and d.cause = 'removed')
    returning r.*`);
  return rows;
}
