import { type Database, sql, type Tx } from '../postgres/index.ts';
import type { Failure } from './failure.ts';
import type { DeathCause } from './verdict.ts';

/** A run that will not be tried again by itself. */
export interface Death {
  readonly runKey: string;
  readonly rootKey: string;
  readonly queue: string;
  readonly kind: string;
  readonly generation: number;
  readonly cause: DeathCause;
  readonly failure: Failure;
  readonly correlationId: string;
}

/** Called in the transaction of the verdict `dead`: what it writes and the verdict are one commit. */
export type OnDeath = (tx: Tx, death: Death) => Promise<void>;

interface DeadRow {
  root_key: string;
  kind: string;
  generation: number;
  correlation_id: string;
}

export interface Dying {
  readonly runKey: string;
  readonly queue: string;
  readonly cause: DeathCause;
  readonly failure: Failure;
  readonly workerId: string;
  /** The attempt that failed for good; undefined when none was running. */
  readonly started?: number;
}

/** Writes the verdict `dead` once, and keeps the payload as evidence. False when the run was decided before, or a newer attempt is running. */
export async function recordDeath(db: Database, dying: Dying, onDeath?: OnDeath): Promise<boolean> {
  return db.transaction(async (tx) => {
    const { runKey, queue, cause, failure } = dying;
    const { rows } = await tx.query<DeadRow>(deathStatement(dying));
    const row = rows[0];
    if (!row) return false;
    await onDeath?.(tx, {
      runKey,
      queue,
      cause,
      failure,
      rootKey: row.root_key,
      kind: row.kind,
      generation: row.generation,
      correlationId: row.correlation_id,
    });
    return true;
  });
}

function deathStatement({ runKey, cause, failure, workerId, started }: Dying) {
  const error = JSON.stringify(failure);
  const counted = started === undefined ? 0 : 1;
  return sql`
    with dead as (
    update ops.job_run
    set state = 'dead', cause = ${cause}, finished_at = clock_timestamp(), died_at = clock_timestamp(),
        finished = finished + ${counted}::int,
        failures = failures + ${counted}::int, last_error = ${error}::jsonb,
        attempts_history = coalesce(attempts_history, '[]') || jsonb_build_object(
          'attempt', started, 'started_at', last_started_at, 'ended_at', clock_timestamp(), 'worker', ${workerId}::text,
          'outcome', 'died', 'cause', ${cause}::text, 'error', ${error}::jsonb)
    where run_key = ${runKey} and state = 'enqueued'
      and ${started === undefined ? sql`true` : sql`(started = ${started} and finished < started)`}
    returning run_key, root_key, kind, generation, correlation_id),
    taken as (
      delete from ops.job_outbox o using dead d where o.run_key = d.run_key
      returning o.run_key, (o.envelope::json -> 'body')::text as body),
    kept as (
      insert into ops.job_payload (run_key, body, sha256)
      select run_key, body, encode(sha256(convert_to(body, 'UTF8')), 'hex') from taken where body is not null
      on conflict (run_key) do nothing)
    select root_key, kind, generation, correlation_id from dead`;
}
