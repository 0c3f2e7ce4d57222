import type { Actor } from '../audit/index.ts';
import { currentContext } from '../logging/index.ts';
import { prepared, sql, type Tx } from '../postgres/index.ts';
import { inlinePayloadBytes, type QueueRegistry } from '../queues/index.ts';

/** A letter to be retried; with the version it was seen at, or whatever the present one is. */
export interface Claim {
  readonly letterId: string;
  readonly version?: number;
}

export interface ClaimOptions {
  readonly registry: QueueRegistry;
  readonly actor: Actor;
  readonly reason?: string | undefined;
  readonly redriveId?: string | undefined;
  /** Not before this many ms from now. Default 0. */
  readonly delayMs?: number | undefined;
  /** In place of the queue it died in. */
  readonly targetQueue?: string | undefined;
  /** More for the audit rows: ids, numbers and paths, never personal data. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** A retry that is decided: its run is planned, and waits for the dispatcher. */
export interface Claimed {
  readonly letterId: string;
  readonly generation: number;
  readonly jobId: string;
  readonly queue: string;
  readonly kind: string;
}

/** Added to the priority of a kind: retries wait behind all fresh work of their queue. */
export const retryBand = 1_000_000;

interface ClaimedRow {
  letter_id: string;
  generation: number;
  run_key: string;
  queue: string;
  kind: string;
}

/**
 * Takes letters for one more run each: the letter becomes `retrying`, the run and its outbox row are written, and an audit row stands for
 * each, in one statement of the caller's transaction. Of many callers who want one letter, one gets it. A letter that is retrying, closed
 * or changed, that has no payload a job can carry, or whose kind no registered queue accepts, is absent from the answer.
 */
export async function claimLetters(tx: Tx, claims: readonly Claim[], options: ClaimOptions): Promise<Claimed[]> {
  if (claims.length === 0) return [];
  const { rows } = await tx.query<ClaimedRow>(claimStatement(claims, options));
  tx.wake('jobs');
  return rows.map(({ letter_id, run_key, ...rest }) => ({ letterId: letter_id, jobId: run_key, ...rest }));
}

function claimStatement(claims: readonly Claim[], options: ClaimOptions) {
  const { actor, reason, redriveId, targetQueue, delayMs = 0 } = options;
  const details = {
    ...options.details,
    ...(redriveId && { redrive_id: redriveId }),
    ...(targetQueue && { target_queue: targetQueue }),
  };
  const wanted = claims.map(({ letterId, version }) => ({ letter_id: letterId, version }));
  // A large payload costs its table only where one is among the claims; Postgres finds that out by itself.
  return prepared(
    'claim',
    sql`
      with wanted as materialized (
        select letter_id, version from json_to_recordset(${JSON.stringify(wanted)}::json) as w(letter_id uuid, version int)),
      accepts as materialized (
        select * from json_to_recordset(${JSON.stringify(acceptedKinds(options.registry))}::json)
          as a(queue text, kind text, attempts int, priority int)),
      claimed as (
        update ops.dead_letter_queue l
        set state = 'retrying', generation = l.generation + 1, version = l.version + 1, snoozed_until = null
        from wanted w, ops.dead_letter_payload p, accepts a
        where l.id = w.letter_id and l.version = coalesce(w.version, l.version) and l.state in ('pending', 'snoozed')
          and l.source = 'queue' and p.letter_id = w.letter_id and p.version = l.payload_version and p.encoding = 'json'
          and a.kind = l.kind and a.queue = ${targetQueue ? sql`${targetQueue}::text` : sql`l.queue_name`}
        returning l.id, l.generation, l.kind, l.root_key, l.correlation_id, l.causation_id, l.traceparent, a.queue, a.attempts, a.priority,
                  p.body, p.sha256, octet_length(p.body) > ${inlinePayloadBytes} as is_large,
                  'dlq-' || l.id || '-r' || l.generation as run_key),
      run as (
        insert into ops.job_run (run_key, root_key, queue, kind, generation, dlq_id, max_attempts, priority, run_at, correlation_id,
                                 causation_id, traceparent)
        select run_key, root_key, queue, kind, generation, id, attempts, priority,
               clock_timestamp() + ${delayMs}::bigint * interval '1 ms', correlation_id, causation_id, traceparent
        from claimed),
      large as (
        insert into ops.job_payload (run_key, body, sha256) select run_key, body, sha256 from claimed where is_large),
      handed as (
        insert into ops.job_outbox (run_key, queue, envelope)
        select run_key, queue,
               '{"v":1,"run":' || to_json(run_key) || ',"root":' || to_json(root_key) || ',"meta":{"correlation_id":' || to_json(correlation_id)
               || coalesce(',"causation_id":' || to_json(causation_id), '') || coalesce(',"traceparent":' || to_json(traceparent), '')
               || ',"enqueued_at":"' || to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
               || ${`","retry":"${redriveId ? 'redrive' : 'retry'}"}`}
               || case when is_large then ',"ref":{"sha256":"' || sha256 || '"}}' else ',"body":' || body || '}' end
        from claimed),
      audited as (
        insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, reason, details, correlation_id)
        select ${actor.id}, ${actor.name}, ${actor.via}, 'dlq.job_retried', 'dead_letter', id::text, ${reason ?? null},
               jsonb_build_object('generation', generation, 'job_id', run_key, 'queue', queue) || ${JSON.stringify(details)}::jsonb,
               ${currentContext()?.correlationId ?? 'none'}
        from claimed)
      select id as letter_id, generation, run_key, queue, kind from claimed`,
  );
}

/** What each queue accepts, with the terms of a retry. */
function acceptedKinds(registry: QueueRegistry) {
  return registry.definitions.flatMap(({ name, attempts, kinds }) =>
    Object.entries(kinds).map(([kind, { priority = 0 }]) => ({
      queue: name,
      kind,
      attempts,
      priority: Math.min(priority + retryBand, 2_097_152),
    })),
  );
}
