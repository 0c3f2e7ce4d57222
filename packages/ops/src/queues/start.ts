import { type Database, sql } from '../postgres/index.ts';
import type { Begun, RunWriter } from './run-writer.ts';
import type { Suspects } from './suspects.ts';

export interface StartDeps {
  readonly db: Database;
  readonly runs: RunWriter;
  readonly suspects: Suspects;
}

/** Why a run may not start. */
export type NoStart = 'done' | 'dead' | 'unknown' | 'crash_loop' | 'suspect_waits' | 'postgres_away';

/**
 * Records the start, or says why there is none. A run that crashed before starts only in the one slot for suspects of this process.
 */
export async function beginRun(runKey: string, deps: StartDeps): Promise<Begun | NoStart> {
  try {
    return (await deps.runs.begin({ runKey, haveSlot: false })) ?? (await beginSuspect(runKey, deps));
  } catch {
    return 'postgres_away';
  }
}

async function beginSuspect(runKey: string, { db, runs, suspects }: StartDeps): Promise<Begun | NoStart> {
  const why = await whyRefused(db, runKey);
  if (why !== 'suspect_waits' || !suspects.reserve(runKey)) return why;
  return (await runs.begin({ runKey, haveSlot: true })) ?? (await whyRefused(db, runKey));
}

async function whyRefused(db: Database, runKey: string): Promise<NoStart> {
  const { rows } = await db.query<{ state: 'enqueued' | 'done' | 'dead'; crashes: number }>(
    sql`select state, started - finished as crashes from ops.job_run where run_key = ${runKey}`,
  );
  const run = rows[0];
  if (!run) return 'unknown';
  if (run.state !== 'enqueued') return run.state;
  return run.crashes >= 3 ? 'crash_loop' : 'suspect_waits';
}
