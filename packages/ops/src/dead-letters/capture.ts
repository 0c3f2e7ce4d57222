import { type Database, sql, type Tx } from '../postgres/index.ts';
import {
  deadColumns,
  type DeadRow,
  type Death,
  type DeathCause,
  type DeathHooks,
  deathsOf,
  type Dying,
  dyingRow,
  type Failure,
  writeVerdicts,
} from '../queues/index.ts';
import { type Classified, fingerprintOf } from './fingerprint.ts';
import {
  burial,
  type DeadRun,
  firstLetters,
  foreignLetters,
  type ForeignRow,
  type GroupRow,
  reopenedLetters,
  returnedLetters,
} from './letter-statements.ts';

/** What the deaths of a process are written with. */
export interface BurialDeps {
  readonly db: Database;
  readonly workerId: string;
  /** Told in the commit of the verdicts, once the letters are there. */
  readonly hooks?: DeathHooks;
}

/**
 * Makes the `write` of a death writer: verdicts and letters in one commit. First deaths of queues that nobody is told of are one statement;
 * retries, queues with a hook, and the rare work that has a letter already take a transaction of several. Answers also those that died by the
 * same attempt in an earlier call whose answer was lost, so that each death is told.
 */
export function openBurial({ db, workerId, hooks = {} }: BurialDeps): (dying: readonly Dying[]) => Promise<Death[]> {
  return async (dying) => {
    const plain = dying.filter(({ queue }) => !Object.hasOwn(hooks, queue));
    const first = await buryFirst(db, plain, workerId);
    const rest = without(dying, first);
    if (rest.length === 0) return first;
    const others = await db.transaction((tx) => buryInTurn(tx, rest, { workerId, hooks }));
    const left = without(rest, others);
    return [...first, ...others, ...(left.length > 0 ? await readBuried(db, left, workerId) : [])];
  };
}

function without(dying: readonly Dying[], deaths: readonly Death[]): Dying[] {
  const died = new Set(deaths.map(({ runKey }) => runKey));
  return dying.filter(({ runKey }) => !died.has(runKey));
}

async function buryInTurn(
  tx: Tx,
  dying: readonly Dying[],
  { workerId, hooks }: Required<Omit<BurialDeps, 'db'>>,
): Promise<Death[]> {
  const capture = async (_tx: Tx, deaths: readonly Death[]) => {
    await captureDeaths(tx, deaths);
    await tellHooks(tx, deaths, hooks);
  };
  return writeVerdicts(tx, dying, { workerId, capture });
}

/** Of these, what this process's same attempts have died of already. */
async function readBuried(db: Database, dying: readonly Dying[], workerId: string): Promise<Death[]> {
  const { rows } = await db.query<DeadRow>(sql`
    select ${deadColumns}
    from ops.job_run
    join unnest(${dying.map(({ runKey }) => runKey)}::text[], ${dying.map(({ started }) => started ?? null)}::int[]) as d(key, attempt)
      on run_key = d.key and started = d.attempt
    where state = 'dead' and worker = ${workerId}`);
  return deathsOf(rows, dying);
}

/** Calls the hook of each queue that has one, in the transaction of the verdicts. */
export async function tellHooks(tx: Tx, deaths: readonly Death[], hooks: DeathHooks): Promise<void> {
  for (const [queue, some] of Map.groupBy(deaths, (death) => death.queue)) {
    if (Object.hasOwn(hooks, queue)) await hooks[queue]?.(tx, some);
  }
}

async function buryFirst(db: Database, dying: readonly Dying[], workerId: string): Promise<Death[]> {
  if (dying.length === 0) return [];
  const [runs, groups] = classify(dying);
  const rows = dying.map((one, at) => ({ ...dyingRow(one), fingerprint: runs[at]?.fingerprint }));
  try {
    return deathsOf((await db.query<DeadRow>(burial(rows, groups, workerId))).rows, dying);
  } catch (error) {
    if (isKnownLetter(error)) return [];
    throw error;
  }
}

function isKnownLetter(error: unknown): boolean {
  const { code, constraint } = error as { code?: unknown; constraint?: unknown };
  return code === '23505' && constraint === 'dead_letter_root';
}

/**
 * Writes the letters of deaths, in the transaction of their verdicts. A first death makes a letter; the death of a retry puts its letter
 * back to `pending`, and its item of a redrive to `failed`. A second capture of the same death changes nothing.
 */
export async function captureDeaths(tx: Tx, deaths: readonly Death[]): Promise<void> {
  const first = deaths.filter(({ letterId }) => letterId === null);
  if (first.length > 0) {
    const [runs, groups] = classify(first);
    const { rows } = await tx.query<{ letters: number }>(firstLetters(runs, groups));
    if ((rows[0]?.letters ?? 0) < first.length) await tx.query(reopenedLetters(runs, groups));
  }
  if (first.length < deaths.length)
    await tx.query(returnedLetters(...classify(deaths.filter(({ letterId }) => letterId !== null))));
}

function classify(deaths: readonly Pick<Death, 'runKey' | 'failure' | 'cause'>[]): [DeadRun[], GroupRow[]] {
  const groups = new Map<string, GroupRow>();
  const runs = deaths.map(({ runKey, failure, cause }) => {
    const group = fingerprintOf({ ...failure, cause });
    if (!groups.has(group.fingerprint)) groups.set(group.fingerprint, groupRow(group));
    return { run_key: runKey, fingerprint: group.fingerprint };
  });
  return [runs, [...groups.values()]];
}

function groupRow({ fingerprint, title, errorType, message, frame }: Classified): GroupRow {
  return { fingerprint, title: title.slice(0, 300), error_type: errorType, message, frame };
}

/** The death of a job that only Redis knew. */
export interface Evidence {
  readonly queue: string;
  readonly kind: string;
  /** BullMQ's id of the job. */
  readonly jobId: string;
  readonly rootKey: string;
  readonly runKey: string | null;
  readonly cause: DeathCause;
  readonly failure: Failure;
  readonly attempts: number;
  /** The payload's exact JSON text; undefined when there was none. */
  readonly body: string | undefined;
  /** In place of `body`: content that is no text Postgres takes, in base64. */
  readonly bytes?: string;
  /** ISO 8601. */
  readonly diedAt: string;
  readonly correlationId: string;
  readonly causationId: string | null;
  readonly traceparent: string | null;
  readonly lacks?: string;
}

/** Writes the letters of jobs that Postgres did not know. Answers how many were made. */
export async function captureForeignDeaths(tx: Tx, evidence: readonly Evidence[]): Promise<number> {
  if (evidence.length === 0) return 0;
  const groups = new Map<string, GroupRow>();
  const deaths = evidence.map((death) => {
    const group = fingerprintOf({ ...death.failure, cause: death.cause });
    groups.set(group.fingerprint, groupRow(group));
    return foreignRow(death, group);
  });
  const { rows } = await tx.query<{ letters: number }>(foreignLetters(deaths, [...groups.values()]));
  return rows[0]?.letters ?? 0;
}

function foreignRow(death: Evidence, { fingerprint, errorType }: Classified): ForeignRow {
  const { failure } = death;
  return {
    queue: death.queue,
    kind: death.kind,
    job_id: death.jobId.slice(0, 100),
    root_key: death.rootKey,
    run_key: death.runKey,
    cause: death.cause,
    body: death.body ?? null,
    bytes: death.bytes ?? null,
    error_type: errorType,
    error_message: failure.message,
    error_code: failure.code,
    stack: failure.stack || null,
    fingerprint,
    attempts: death.attempts,
    correlation_id: death.correlationId,
    causation_id: death.causationId,
    traceparent: death.traceparent,
    died_at: death.diedAt,
    lacks: death.lacks ?? (death.body === undefined && death.bytes === undefined ? 'payload: it was not kept' : null),
  };
}
