import type { LetterAttempt } from './contract.ts';

/** An attempt as its run keeps it. */
export interface KeptAttempt {
  readonly attempt: number | null;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly worker: string | null;
  readonly outcome: string;
  readonly cause?: string;
  readonly error: { type: string; message: string; code?: string | null; stack?: string } | null;
}

export interface StoredRun {
  run_key: string;
  generation: number;
  queue: string;
  state: 'enqueued' | 'done' | 'dead';
  started: number;
  finished: number;
  cause: string | null;
  enqueued_at: Date;
  last_started_at: Date | null;
  finished_at: Date | null;
  worker: string | null;
  attempts_history: KeptAttempt[] | null;
  correlation_id: string;
}

export interface StoredWorker {
  id: string;
  host: string;
  pid: number;
  version: string;
}

/** A run keeps this many attempts; what is missing below them was dropped, not lost. */
const keptAttempts = 50;

/** Every attempt of the runs, newest first. An attempt of which no word came is there with the outcome `no_word`. */
export function attemptsOf(runs: readonly StoredRun[], workers: ReadonlyMap<string, StoredWorker>): LetterAttempt[] {
  return runs
    .toSorted((a, b) => b.generation - a.generation)
    .flatMap((run) => {
      const kept = wholeHistory(run);
      return kept.map((attempt, at) => shown(run, attempt, kept[at - 1], workers)).reverse();
    });
}

function wholeHistory(run: StoredRun): KeptAttempt[] {
  const history = run.attempts_history ?? [];
  const known = new Set(history.map(({ attempt }) => attempt));
  const last = known.has(run.started) ? [] : lastAttempt(run);
  const told = history.length + last.length;
  const silent =
    history.length >= keptAttempts ? 0 : run.started - told + history.filter(({ attempt }) => attempt === null).length;
  const missing = Array.from({ length: Math.max(0, run.started) }, (_, at) => at + 1)
    .filter((attempt) => !known.has(attempt) && !last.some((one) => one.attempt === attempt))
    .slice(0, Math.max(0, silent));
  return [...missing.map(withoutWord), ...history, ...last].sort(byAttempt);
}

/** What the run itself says of its newest attempt. */
function lastAttempt(run: StoredRun): KeptAttempt[] {
  const { state, started, finished } = run;
  const outcome = state === 'done' ? 'done' : state === 'enqueued' && started > finished ? 'running' : undefined;
  if (outcome === undefined || started === 0) return [];
  const times = { started_at: iso(run.last_started_at), ended_at: iso(run.finished_at) };
  return [{ attempt: started, worker: run.worker, outcome, error: null, ...times }];
}

function withoutWord(attempt: number): KeptAttempt {
  return { attempt, started_at: null, ended_at: null, worker: null, outcome: 'no_word', error: null };
}

function byAttempt(a: KeptAttempt, b: KeptAttempt): number {
  return (a.attempt ?? Number.POSITIVE_INFINITY) - (b.attempt ?? Number.POSITIVE_INFINITY);
}

function shown(
  run: StoredRun,
  kept: KeptAttempt,
  before: KeptAttempt | undefined,
  workers: ReadonlyMap<string, StoredWorker>,
): LetterAttempt {
  const { attempt, outcome, cause = null, error, worker } = kept;
  return {
    generation: run.generation,
    attempt,
    started_at: iso(kept.started_at),
    wait_ms: between(before ? before.ended_at : run.enqueued_at, kept.started_at),
    duration_ms: between(kept.started_at, kept.ended_at),
    outcome,
    cause,
    error: error && { type: error.type, message: error.message, code: error.code ?? null, stack: error.stack ?? '' },
    worker: worker === null ? null : shownWorker(worker, workers.get(worker)),
    job_id: run.run_key,
    correlation_id: run.correlation_id,
  };
}

/** A worker that stopped long ago is known by its id alone. */
function shownWorker(id: string, known: StoredWorker | undefined): LetterAttempt['worker'] {
  const { host = null, pid = null, version = null } = known ?? {};
  return { id, host, pid, version, commit: null, peak_memory_mb: null };
}

function iso(at: Date | string | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

function between(from: Date | string | null, to: Date | string | null): number | null {
  if (from === null || to === null) return null;
  return Math.max(0, new Date(to).getTime() - new Date(from).getTime());
}
