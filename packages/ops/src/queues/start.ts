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

/** Records the start. A run that crashed before starts only in the one slot for suspects of this process. */
export async function beginRun(
  runKey: string,
  { db, runs, suspects }: StartDeps,
): Promise<({ kind: 'started' } & Begun) | { kind: 'refused'; why: NoStart }> {
  try {
    const begun = await runs.begin({ runKey, haveSlot: false });
    if (begun) return { kind: 'started', ...begun };
    const why = await whyRefused(db, runKey);
    if (why !== 'suspect_waits' || !suspects.reserve(runKey)) return { kind: 'refused', why };
    const suspect = await runs.begin({ runKey, haveSlot: true });
    return suspect ? { kind: 'started', ...suspect } : { kind: 'refused', why: await whyRefused(db, runKey) };
  } catch {
    return { kind: 'refused', why: 'postgres_away' };
  }
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
