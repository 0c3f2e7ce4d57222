import { type Database, sql } from '../postgres/index.ts';
import type { Failure } from './failure.ts';
import { groupCommit } from './group-commit.ts';

/** What Postgres says of a run whose attempt began. */
export interface Begun {
  /** Number of this start; the fence of the attempt. */
  readonly started: number;
  readonly failures: number;
  readonly maxAttempts: number;
}

interface BeginEntry {
  readonly runKey: string;
  /** This process may run a run that crashed before. */
  readonly haveSlot: boolean;
}

interface EndEntry {
  readonly runKey: string;
  readonly started: number;
}

interface FailEntry extends EndEntry {
  /** Undefined for an attempt that was put back: it counts as finished, not as failed. */
  readonly failure: Failure | undefined;
  readonly delayMs: number;
}

/** Writes begins, verdicts and failures of runs. Each promise settles after the commit that holds its entry. */
export interface RunWriter {
  /** Undefined when the run is decided, unknown, or a suspect without a slot. */
  begin(entry: BeginEntry): Promise<Begun | undefined>;
  /** False when a newer attempt has started, or the run is decided. */
  finish(entry: EndEntry): Promise<boolean>;
  fail(entry: FailEntry): Promise<boolean>;
  /** Resolves when everything given so far is committed or has failed. */
  flush(): Promise<void>;
}

interface PulseRow {
  run_key: string;
  started: number;
  failures: number;
  max_attempts: number;
}

export function openRunWriter(db: Database, workerId: string): RunWriter {
  const keyOf = ({ runKey }: { runKey: string }) => runKey;
  const pulses = groupCommit<BeginEntry | EndEntry, PulseRow>({
    keyOf,
    write: (entries) => writePulses(db, workerId, entries),
  });
  const failures = groupCommit<FailEntry, true>({ keyOf, write: (entries) => writeFailures(db, workerId, entries) });
  return {
    async begin(entry) {
      const row = await pulses.add(entry);
      return row && { started: row.started, failures: row.failures, maxAttempts: row.max_attempts };
    },
    finish: async (entry) => (await pulses.add(entry)) !== undefined,
    fail: async (entry) => (await failures.add(entry)) === true,
    async flush() {
      await Promise.all([pulses.flush(), failures.flush()]);
    },
  };
}

/**
 * Starts and successes in one statement, always the same text. Lists travel as one string each, joined by the one character that
 * a run key never holds: a quarter of the cost of array parameters. Each is split in a subselect, so that no plan depends on how many
 * there are: else Postgres plans anew for each call, which takes as long as the rest of it.
 */
const pulseText = `
  with started as (
    update ops.job_run r set started = r.started + 1, last_started_at = clock_timestamp(), worker = $1
    from unnest((select string_to_array($2, ':')), (select string_to_array($3, ':'))) as e(run_key, have_slot)
    where r.run_key = e.run_key and r.state = 'enqueued' and r.started - r.finished < 3
      and (r.started = r.finished or e.have_slot = 't')
    returning r.run_key, r.started, r.failures, r.max_attempts),
  ended as (
    update ops.job_run r set state = 'done', finished = r.finished + 1, finished_at = clock_timestamp()
    from unnest((select string_to_array($4, ':')), (select string_to_array($5, ':')::int[])) as e(run_key, started)
    where r.run_key = e.run_key and r.state = 'enqueued' and r.started = e.started and r.finished < r.started
    returning r.run_key, r.started, r.failures, r.max_attempts),
  settled as (delete from ops.job_outbox o using ended e where o.run_key = e.run_key)
  select * from started union all select * from ended`;

async function writePulses(
  db: Database,
  workerId: string,
  entries: readonly (BeginEntry | EndEntry)[],
): Promise<Map<string, PulseRow>> {
  const begins: BeginEntry[] = [];
  const ends: EndEntry[] = [];
  for (const entry of entries) {
    if ('haveSlot' in entry) begins.push(entry);
    else ends.push(entry);
  }
  const values = [
    workerId,
    begins.map((entry) => entry.runKey).join(':'),
    begins.map((entry) => (entry.haveSlot ? 't' : 'f')).join(':'),
    ends.map((entry) => entry.runKey).join(':'),
    ends.map((entry) => entry.started).join(':'),
  ];
  const { rows } = await db.query<PulseRow>({ name: 'run-pulses', text: pulseText, values });
  return new Map(rows.map((row) => [row.run_key, row]));
}

/** Attempts kept in `attempts_history`; the newest are the useful ones. */
const keptAttempts = 50;

async function writeFailures(
  db: Database,
  workerId: string,
  entries: readonly FailEntry[],
): Promise<Map<string, true>> {
  const errors = entries.map(({ failure }) => (failure ? JSON.stringify(failure) : null));
  const { rows } = await db.query<{ run_key: string }>(sql`
    update ops.job_run r
    set finished = r.finished + 1, run_at = clock_timestamp() + f.delay_ms * interval '1 ms',
        failures = r.failures + (f.error is not null)::int,
        last_error = coalesce(f.error, r.last_error),
        attempts_history = jsonb_path_query_array(
          coalesce(r.attempts_history, '[]') || jsonb_build_object(
            'attempt', r.started, 'started_at', r.last_started_at, 'ended_at', clock_timestamp(), 'worker', ${workerId}::text,
            'outcome', case when f.error is null then 'put_back' else 'failed' end, 'error', f.error),
          ${`$[last - ${keptAttempts - 1} to last]`}::jsonpath)
    from unnest(${entries.map((entry) => entry.runKey)}::text[], ${entries.map((entry) => entry.started)}::int[],
                ${errors}::jsonb[], ${entries.map((entry) => entry.delayMs)}::bigint[]) as f(run_key, started, error, delay_ms)
    where r.run_key = f.run_key and r.state = 'enqueued' and r.started = f.started and r.finished < r.started
    returning r.run_key`);
  return new Map(rows.map((row) => [row.run_key, true]));
}
