import { type Logger, runWithContext } from '../logging/index.ts';
import type { Metrics } from '../metrics/index.ts';
import { empty, prepared, type Sql, sql, type Tx } from '../postgres/index.ts';
import { asError, type Failure } from './failure.ts';
import { groupCommit } from './group-commit.ts';
import { probeKind } from './probe.ts';
import type { DeathCause } from './verdict.ts';

/** A run that will not be tried again by itself. Its row of `ops.job_run` holds the rest, its payload is still in `ops.job_outbox`. */
export interface Death {
  readonly runKey: string;
  readonly rootKey: string;
  readonly queue: string;
  readonly kind: string;
  /** 0 for the first run of a piece of work, then the number of the retry. */
  readonly generation: number;
  /** The dead letter this run was a retry of. */
  readonly letterId: string | null;
  readonly cause: DeathCause;
  readonly failure: Failure;
  /** Failed attempts of this run. */
  readonly attempts: number;
  readonly correlationId: string;
}

/** Called in the transaction of the verdicts `dead`: what it writes and the verdicts are one commit. */
export type OnDeaths = (tx: Tx, deaths: readonly Death[]) => Promise<void>;

/** Who is told of the deaths of a queue, by its name. */
export type DeathHooks = Readonly<Record<string, OnDeaths>>;

/** A run to be buried. */
export interface Dying {
  readonly runKey: string;
  readonly queue: string;
  readonly cause: DeathCause;
  readonly failure: Failure;
  /** The attempt that failed for good; undefined when none was running. */
  readonly started?: number | undefined;
  /** Only when no attempt is under way. */
  readonly idle?: boolean;
}

/** Writes the verdict `dead`, many in one commit, with a log line and a count for each. */
export interface DeathWriter {
  /** Undefined when the run was decided before, or a newer attempt is running. */
  bury(dying: Dying): Promise<Death | undefined>;
  /** Resolves when everything given so far is committed or has failed. */
  flush(): Promise<void>;
}

export interface DeathDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Writes verdicts, and whatever belongs to deaths, in few commits; answers what died by it. */
  readonly write: (dying: readonly Dying[]) => Promise<readonly Death[]>;
}

export function openDeathWriter(deps: DeathDeps): DeathWriter {
  const commits = groupCommit<Dying, Death>({
    keyOf: ({ runKey }) => runKey,
    write: async (dying) => new Map((await deps.write(dying)).map((death) => [death.runKey, death])),
  });
  return {
    async bury(dying) {
      const death = await commits.add(dying);
      if (death) tell(deps, death);
      return death;
    },
    flush: () => commits.flush(),
  };
}

function tell(
  { log, metrics }: DeathDeps,
  { queue, kind, runKey, cause, failure, attempts, correlationId }: Death,
): void {
  // A probe dies on purpose.
  if (kind === probeKind) return;
  metrics.counter('jobs_dead_lettered_total').labels({ queue, reason: cause }).inc();
  runWithContext({ correlationId }, () =>
    log.error('job_dead_lettered', asError(failure), { queue, job_name: kind, job_id: runKey, cause, attempts }),
  );
}

/** What a statement with {@link verdictParts} answers of each run in `dead`: see `deadColumns`. */
export interface DeadRow {
  run_key: string;
  root_key: string;
  queue: string;
  kind: string;
  generation: number;
  dlq_id: string | null;
  cause: DeathCause;
  failures: number;
  correlation_id: string;
}

/** The columns of a {@link DeadRow}. */
export const deadColumns = sql`run_key, root_key, queue, kind, generation, dlq_id, cause, failures, correlation_id`;

export interface VerdictOptions {
  readonly workerId: string;
  /** Called with the deaths, unless there are none. */
  readonly capture: OnDeaths;
}

/** Writes the verdict `dead` of those that are still open, lets them be captured while their payloads are at hand, and answers them. */
export async function writeVerdicts(
  tx: Tx,
  dying: readonly Dying[],
  { workerId, capture }: VerdictOptions,
): Promise<Death[]> {
  const { rows } = await tx.query<DeadRow>(
    prepared('deaths', sql`with ${verdictParts(dying.map(dyingRow), { workerId })} select ${deadColumns} from dead`),
  );
  const deaths = deathsOf(rows, dying);
  if (deaths.length === 0) return [];
  await capture(tx, deaths);
  await tx.query(settleStatement(deaths));
  return deaths;
}

/** Deaths as Postgres answers them, with what they died of. */
export function deathsOf(rows: readonly DeadRow[], dying: readonly Dying[]): Death[] {
  const failures = new Map(dying.map(({ runKey, failure }) => [runKey, failure]));
  return rows.map((row) => deathOf(row, failures.get(row.run_key)));
}

function deathOf(row: DeadRow, failure: Failure | undefined): Death {
  if (!failure) throw new TypeError(`run ${row.run_key} was not to be buried`);
  return {
    failure,
    runKey: row.run_key,
    rootKey: row.root_key,
    queue: row.queue,
    kind: row.kind,
    generation: row.generation,
    letterId: row.dlq_id,
    cause: row.cause,
    attempts: row.failures,
    correlationId: row.correlation_id,
  };
}

/** A run to be buried, as the CTE `dying` reads it; `fingerprint` only for a statement that captures its death. */
export interface DyingRow {
  readonly run_key: string;
  readonly cause: DeathCause;
  readonly class: string;
  readonly type: string;
  readonly message: string;
  readonly code: string | null;
  readonly stack: string;
  readonly started: number | undefined;
  readonly idle: boolean | undefined;
  readonly fingerprint?: string;
}

export function dyingRow({ runKey, cause, failure, started, idle }: Dying): DyingRow {
  const { class: failureClass, type, message, code, stack } = failure;
  return { run_key: runKey, cause, class: failureClass, type, message, code, stack, started, idle };
}

/** The failure of a row `d` of `dying`. */
const failureOf = sql`jsonb_build_object('class', d.class, 'type', d.type, 'message', d.message, 'code', d.code, 'stack', d.stack)`;

export interface VerdictParts {
  readonly workerId: string;
  /** More conditions on `r`, the row of `ops.job_run`. */
  readonly when?: Sql;
  /** What `dead` answers besides {@link deadColumns}. */
  readonly more?: Sql;
  /** The same statement writes letters: the newest error of the run is with its letter, and not with the run. */
  readonly withLetters?: boolean;
}

/**
 * CTEs that write and count the verdict `dead` of those that are still open: `dying`, `dead`, `counted`. What the attempt that died has to
 * tell is in columns of the run; only a death that no attempt tells of has an entry in the history. A row that hardly grows stays on its
 * page, and then no index is touched: a third of a capture.
 */
export function verdictParts(
  rows: readonly DyingRow[],
  { workerId, when, more, withLetters = false }: VerdictParts,
): Sql {
  return sql`
    dying as materialized (
      select * from json_to_recordset(${JSON.stringify(rows)}::json)
        as d(run_key text, cause text, class text, type text, message text, code text, stack text, started int, idle boolean, fingerprint text)),
    dead as (
      update ops.job_run r
      set state = 'dead', cause = d.cause, finished_at = clock_timestamp(), died_at = clock_timestamp(),
          finished = r.finished + (d.started is not null)::int, failures = r.failures + (d.started is not null)::int,
          last_error = ${withLetters ? sql`null` : failureOf},
          attempts_history = case when d.started is not null then r.attempts_history
            else coalesce(r.attempts_history, '[]') || jsonb_build_object(
              'attempt', null, 'started_at', r.last_started_at, 'ended_at', clock_timestamp(), 'worker', ${workerId}::text,
              'outcome', 'died', 'cause', d.cause, 'error', ${failureOf}) end
      from dying d
      where r.run_key = d.run_key and r.state = 'enqueued' ${when ? sql`and ${when}` : empty}
        and (d.started is null or (r.started = d.started and r.finished < r.started))
        and (d.idle is not true or r.started = r.finished)
      returning r.run_key, r.root_key, r.queue, r.kind, r.generation, r.dlq_id, r.cause, r.failures, r.correlation_id
                ${more ? sql`, ${more}` : empty}),
    counted as (
      insert into ops.job_death (queue, deaths)
      select queue, count(*) from dead where generation = 0 and kind <> ${probeKind} group by queue)`;
}

/** A run is open exactly as long as its row is in the outbox. */
function settleStatement(deaths: readonly Death[]) {
  const runKeys = deaths.map(({ runKey }) => runKey).join(':');
  return prepared('settle', sql`delete from ops.job_outbox where run_key = any (string_to_array(${runKeys}, ':'))`);
}
