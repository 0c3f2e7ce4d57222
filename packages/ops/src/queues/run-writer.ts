import { type Database, prepared, sql } from '../postgres/index.ts';
import type { Failure } from './failure.ts';

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

interface Waiting<Entry, Result> {
  readonly entry: Entry;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

interface Batch {
  begins: Waiting<BeginEntry, Begun | undefined>[];
  ends: Waiting<EndEntry, boolean>[];
  fails: Waiting<FailEntry, boolean>[];
  readonly keys: Set<string>;
}

/** Entries of one statement. Larger batches only lengthen the wait of the first. */
const largestBatch = 64;
/** Statements under way at once: while one waits for the disk, the next is built and sent. */
const mostInFlight = 2;

/**
 * Group commit: while a batch is being committed, the next one gathers. An idle writer sends a single entry at once,
 * so a quiet queue pays no waiting time; a busy one shares each commit among up to 64 entries.
 */
export function openRunWriter(db: Database, workerId: string): RunWriter {
  const queue: Batch[] = [];
  const inFlight = new Set<Promise<void>>();

  const pump = () => {
    while (inFlight.size < mostInFlight && queue.length > 0) {
      const batch = queue.shift() as Batch;
      const sent: Promise<void> = send(db, workerId, batch).finally(() => {
        inFlight.delete(sent);
        pump();
      });
      inFlight.add(sent);
    }
  };
  const add = <Entry extends { runKey: string }, Result>(
    lane: 'begins' | 'ends' | 'fails',
    entry: Entry,
  ): Promise<Result> =>
    new Promise((resolve, reject) => {
      const batch = batchFor(queue, entry.runKey);
      batch.keys.add(entry.runKey);
      (batch[lane] as unknown as Waiting<Entry, Result>[]).push({ entry, resolve, reject });
      // After the present turn, so that entries of one turn share a batch.
      setImmediate(pump);
    });
  return {
    begin: (entry) => add('begins', entry),
    finish: (entry) => add('ends', entry),
    fail: (entry) => add('fails', entry),
    async flush() {
      pump();
      while (inFlight.size > 0 || queue.length > 0) await Promise.allSettled([...inFlight]);
    },
  };
}

/** The first waiting batch with room; two entries of one run never share a statement, or the second would see nothing. */
function batchFor(queue: Batch[], runKey: string): Batch {
  const last = queue.at(-1);
  if (last && last.keys.size < largestBatch && !last.keys.has(runKey)) return last;
  const batch: Batch = { begins: [], ends: [], fails: [], keys: new Set() };
  queue.push(batch);
  return batch;
}

async function send(db: Database, workerId: string, batch: Batch): Promise<void> {
  try {
    settle(batch, await write(db, workerId, batch));
  } catch (error) {
    if (batch.keys.size === 1) return rejectAll(batch, error);
    await sendOneByOne(db, workerId, batch);
  }
}

/** One bad entry must not take its neighbours along. */
async function sendOneByOne(db: Database, workerId: string, batch: Batch): Promise<void> {
  const empty = { begins: [], ends: [], fails: [] };
  const singles: Batch[] = [
    ...batch.begins.map((one) => ({ ...empty, begins: [one], keys: new Set([one.entry.runKey]) })),
    ...batch.ends.map((one) => ({ ...empty, ends: [one], keys: new Set([one.entry.runKey]) })),
    ...batch.fails.map((one) => ({ ...empty, fails: [one], keys: new Set([one.entry.runKey]) })),
  ];
  for (const single of singles) await send(db, workerId, single);
}

interface WrittenRow {
  lane: 'b' | 'e' | 'f';
  run_key: string;
  started: number;
  failures: number;
  max_attempts: number;
}

function settle(batch: Batch, rows: readonly WrittenRow[]): void {
  const written = new Map(rows.map((row) => [row.run_key, row]));
  for (const { entry, resolve } of batch.begins) {
    const row = written.get(entry.runKey);
    resolve(row && { started: row.started, failures: row.failures, maxAttempts: row.max_attempts });
  }
  for (const { entry, resolve } of [...batch.ends, ...batch.fails]) resolve(written.has(entry.runKey));
}

function rejectAll(batch: Batch, error: unknown): void {
  for (const { reject } of [...batch.begins, ...batch.ends, ...batch.fails]) reject(error);
}

async function write(db: Database, workerId: string, { begins, ends, fails }: Batch): Promise<WrittenRow[]> {
  const parts = [
    ...(begins.length > 0 ? [beginPart(workerId, begins.map(({ entry }) => entry))] : []),
    ...(ends.length > 0 ? [endPart(ends.map(({ entry }) => entry))] : []),
    ...(fails.length > 0 ? [failPart(workerId, fails.map(({ entry }) => entry))] : []),
  ];
  const statement = parts.reduce((all, part) => sql`${all} union all ${part.select}`, sql`select null::text as lane, null::text as run_key, 0 as started, 0 as failures, 0 as max_attempts where false`);
  const ctes = parts.slice(1).reduce((all, part) => sql`${all}, ${part.cte}`, parts[0]?.cte ?? sql``);
  const { rows } = await db.query<WrittenRow>(prepared('runs', sql`with ${ctes} ${statement}`));
  return rows;
}

function beginPart(workerId: string, entries: readonly BeginEntry[]) {
  return {
    cte: sql`b as (
      update ops.job_run r set started = r.started + 1, last_started_at = clock_timestamp(), worker = ${workerId}::uuid
      from unnest(${entries.map((entry) => entry.runKey)}::text[], ${entries.map((entry) => entry.haveSlot)}::boolean[]) as e(run_key, have_slot)
      where r.run_key = e.run_key and r.state = 'enqueued' and r.started - r.finished < 3
        and (r.started = r.finished or e.have_slot)
      returning r.run_key, r.started, r.failures, r.max_attempts)`,
    select: sql`select 'b', b.* from b`,
  };
}

function endPart(entries: readonly EndEntry[]) {
  return {
    cte: sql`e as (
      update ops.job_run r set state = 'done', finished = r.finished + 1, finished_at = clock_timestamp()
      from unnest(${entries.map((entry) => entry.runKey)}::text[], ${entries.map((entry) => entry.started)}::int[]) as e(run_key, started)
      where r.run_key = e.run_key and r.state = 'enqueued' and r.started = e.started and r.finished < r.started
      returning r.run_key, r.started, r.failures, r.max_attempts)`,
    select: sql`select 'e', e.* from e`,
  };
}

/** Attempts kept in `attempts_history`; the newest are the useful ones. */
const keptAttempts = 50;

function failPart(workerId: string, entries: readonly FailEntry[]) {
  const errors = entries.map(({ failure }) => (failure ? JSON.stringify(failure) : null));
  return {
    cte: sql`f as (
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
      returning r.run_key, r.started, r.failures, r.max_attempts)`,
    select: sql`select 'f', f.* from f`,
  };
}
