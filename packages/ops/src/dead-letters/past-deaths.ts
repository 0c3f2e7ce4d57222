import { sql, type Tx } from '../postgres/index.ts';
import type { Death, DeathCause } from '../queues/index.ts';
import { captureDeaths } from './capture.ts';

/** A job that died before: in the history of a made-up world, or in a system that this one follows. */
export interface PastDeath {
  readonly runKey: string;
  readonly queue: string;
  readonly kind: string;
  /** JSON. */
  readonly payload: unknown;
  /** All of them failed. */
  readonly attempts: number;
  readonly cause: DeathCause;
  readonly error: { readonly type: string; readonly message: string; readonly stack: string; readonly code?: string };
  readonly enqueuedAt: Date;
  readonly diedAt: Date;
  readonly correlationId: string;
}

/**
 * Writes runs that died in the past, and their dead letters as the capture would have written them then: open, and counted in the hour of
 * their deaths. In the caller's transaction, which should do little else with dead letters. Throws when a run key is known already.
 */
export async function recordPastDeaths(tx: Tx, deaths: readonly PastDeath[]): Promise<void> {
  for (const [hour, some] of Map.groupBy(deaths, hourOf)) {
    await writeRuns(tx, some);
    await captureDeaths(tx, some.map(deathOf));
    await date(tx, { hour, runKeys: some.map(({ runKey }) => runKey) });
  }
}

const hourMs = 3_600_000;

const hourOf = ({ diedAt }: PastDeath) => Math.floor(diedAt.getTime() / hourMs) * hourMs;

async function writeRuns(tx: Tx, deaths: readonly PastDeath[]): Promise<void> {
  const rows = deaths.map(({ error, payload, ...death }) => ({
    ...death,
    failure: { code: null, ...error, class: death.cause === 'permanent' ? 'permanent' : 'transient' },
    body: JSON.stringify(payload),
  }));
  await tx.query(sql`
    with death as materialized (
      select * from json_to_recordset(${JSON.stringify(rows)}::json)
        as d("runKey" text, queue text, kind text, body text, attempts int, cause text, failure jsonb, "enqueuedAt" timestamptz,
             "diedAt" timestamptz, "correlationId" text)),
    run as (
      insert into ops.job_run (run_key, root_key, queue, kind, state, started, finished, failures, max_attempts, run_at, enqueued_at,
                               last_started_at, finished_at, died_at, cause, last_error, attempts_history, correlation_id)
      select "runKey", "runKey", queue, kind, 'dead', attempts, attempts, attempts, attempts, "diedAt", "enqueuedAt", "diedAt", "diedAt",
             "diedAt", cause, failure - 'stack',
             jsonb_build_array(jsonb_build_object('attempt', attempts, 'started_at', "diedAt", 'ended_at', "diedAt", 'outcome', 'died',
                                                  'cause', cause, 'error', failure)),
             "correlationId"
      from death
      returning run_key),
    counted as (insert into ops.job_death (queue, deaths) select queue, count(*) from death group by queue)
    insert into ops.job_payload (run_key, body, sha256)
    select r.run_key, d.body, encode(sha256(convert_to(d.body, 'UTF8')), 'hex') from run r join death d on d."runKey" = r.run_key`);
}

function deathOf({ runKey, queue, kind, cause, error, attempts, correlationId }: PastDeath): Death {
  const failure = { class: cause === 'permanent' ? 'permanent' : 'transient', code: null, ...error } as const;
  return {
    runKey,
    rootKey: runKey,
    queue,
    kind,
    generation: 0,
    letterId: null,
    cause,
    failure,
    attempts,
    correlationId,
  };
}

/** The letters are as old as their deaths, and their payloads are theirs now; the triggers have counted them in the present hour. */
async function date(tx: Tx, { hour, runKeys }: { hour: number; runKeys: readonly string[] }): Promise<void> {
  await tx.query(sql`update ops.dead_letter_queue set created_at = failed_at where run_key = any(${runKeys}::text[])`);
  await tx.query(sql`delete from ops.job_payload where run_key = any(${runKeys}::text[])`);
  await tx.query(sql`
    update ops.dead_letter_change set at = ${new Date(hour)}
    where xmin = pg_current_xact_id()::xid and at >= transaction_timestamp()`);
}
