import { currentContext, type LogContext } from '../logging/index.ts';
import { prepared, type Queryable, type Sql, sql, type Tx } from '../postgres/index.ts';
import type { JobKind, PayloadOf, QueueDefinition } from './definition.ts';
import { type Envelope, encodePayload, inlinePayloadBytes, PayloadRefused, sha256 } from './envelope.ts';

export interface EnqueueOptions {
  /**
   * The run key: says which fact of the business this job is for, so that a second enqueue is absorbed.
   * 1–200 characters, no `:`, not all digits; such as `distribute-<lead>-<sale>`.
   */
  readonly key: string;
  /** Not before this many ms from now. Default 0. */
  readonly delayMs?: number;
  /** Default: that of the kind. 0 is served first. */
  readonly priority?: number;
}

/** One job to be enqueued. */
export interface JobDraft<Payload> extends EnqueueOptions {
  readonly payload: Payload;
  /** What the job follows from. Default: the running work. For a caller that plans for several pieces of work at once. */
  readonly context?: LogContext;
}

const runKeyForm = /^(?![0-9]+$)[^:]{1,200}$/;

/**
 * Plans one job in the caller's transaction: one row in `ops.job_run`, one in `ops.job_outbox`. The only way to create a job.
 * Answers false when the key exists already (the job is not planned twice).
 * Throws `PayloadRefused` for a payload that breaks its schema or the limits, TypeError for a key of the wrong form.
 */
export async function enqueue<Queue extends QueueDefinition, Kind extends keyof Queue['kinds'] & string>(
  tx: Tx,
  queue: Queue,
  kind: Kind,
  payload: PayloadOf<Queue, Kind>,
  options: EnqueueOptions,
): Promise<boolean> {
  return (await enqueueMany(tx, queue, kind, [{ ...options, payload }])) === 1;
}

/** Plans jobs of one kind in one statement. Answers how many were new. */
export async function enqueueMany<Queue extends QueueDefinition, Kind extends keyof Queue['kinds'] & string>(
  tx: Tx,
  queue: Queue,
  kind: Kind,
  drafts: readonly JobDraft<PayloadOf<Queue, Kind>>[],
): Promise<number> {
  if (drafts.length === 0) return 0;
  const parts = enqueueParts(queue, kind, drafts);
  const { rows } = await tx.query<{ created: number }>(
    prepared('enqueue', sql`with ${parts} select count(*)::int as created from planned_job`),
  );
  tx.wake('jobs');
  return rows[0]?.created ?? 0;
}

/**
 * The same as CTEs, for a caller that does its whole work in one statement: `planned_job`, `planned_payload` and `handed_job`.
 * `when` is an optional `from …` clause, which may name the draft's `d.key`: no row of it, no job. The caller wakes the dispatcher: `database.wake('jobs')`.
 */
export function enqueueParts<Queue extends QueueDefinition, Kind extends keyof Queue['kinds'] & string>(
  queue: Queue,
  kind: Kind,
  drafts: readonly JobDraft<PayloadOf<Queue, Kind>>[],
  when?: Sql,
): Sql {
  const definition = kindOf(queue, kind);
  const running = currentContext() ?? { correlationId: 'none' };
  const contexts = drafts.map((draft) => draft.context ?? running);
  const bodies = drafts.map((draft) => bodyOf(queue.name, kind, definition, draft));
  const envelopes = drafts.map((draft, at) => envelopeOf(draft.key, bodies[at] ?? 'null', contexts[at] ?? running));
  return sql`
    planned_job as (
      insert into ops.job_run (run_key, root_key, queue, kind, max_attempts, priority, run_at, correlation_id, causation_id, traceparent)
      select d.key, d.key, ${queue.name}, ${kind}, ${queue.attempts}::int, d.priority,
             clock_timestamp() + d.delay_ms * interval '1 ms',
             d.correlation_id, d.causation_id, d.traceparent
      from unnest(${drafts.map((draft) => draft.key)}::text[],
                  ${drafts.map((draft) => draft.priority ?? definition.priority ?? 0)}::int[],
                  ${drafts.map((draft) => draft.delayMs ?? 0)}::bigint[],
                  ${contexts.map((context) => context.correlationId)}::text[],
                  ${contexts.map((context) => context.causationId ?? null)}::text[],
                  ${contexts.map((context) => context.traceparent ?? null)}::text[])
        as d(key, priority, delay_ms, correlation_id, causation_id, traceparent)
      ${when ? sql`where exists (select ${when})` : sql``}
      on conflict (run_key) do nothing
      returning run_key, queue),
    handed_job as (
      insert into ops.job_outbox (run_key, queue, envelope)
      select p.run_key, p.queue, d.envelope
      from planned_job p
      join unnest(${drafts.map((draft) => draft.key)}::text[], ${envelopes}::text[]) as d(key, envelope) on d.key = p.run_key
      returning run_key)
    ${payloadPart(drafts, bodies)}`;
}

/** Only a caller with a large payload pays for the table of large payloads. */
function payloadPart(drafts: readonly EnqueueOptions[], bodies: readonly string[]): Sql {
  const large = drafts.flatMap(({ key }, at) => (isLarge(bodies[at] ?? '') ? [{ key, body: bodies[at] ?? '' }] : []));
  if (large.length === 0) return sql``;
  return sql`,
    planned_payload as (
      insert into ops.job_payload (run_key, body, sha256)
      select p.run_key, d.body, d.sha256
      from planned_job p
      join unnest(${large.map(({ key }) => key)}::text[], ${large.map(({ body }) => body)}::text[],
                  ${large.map(({ body }) => sha256(body))}::text[]) as d(key, body, sha256) on d.key = p.run_key)`;
}

function isLarge(body: string): boolean {
  return Buffer.byteLength(body) > inlinePayloadBytes;
}

function kindOf(queue: QueueDefinition, kind: string): JobKind {
  const definition = queue.kinds[kind];
  if (!definition) {
    throw new TypeError(`queue ${queue.name} has no kind "${kind}"; it has ${Object.keys(queue.kinds).join(', ')}`);
  }
  return definition;
}

function bodyOf(queue: string, kind: string, definition: JobKind, draft: JobDraft<unknown>): string {
  if (!runKeyForm.test(draft.key)) {
    throw new TypeError(`run key "${draft.key}" must have 1–200 characters, no ":", and not be all digits`);
  }
  const checked = definition.schema.safeParse(draft.payload);
  if (!checked.success) {
    const faults = checked.error.issues.map((issue) => `${issue.path.join('.') || 'payload'}: ${issue.message}`);
    throw new PayloadRefused(`payload of ${queue}/${kind} does not fit its schema: ${faults.join('; ')}`);
  }
  return encodePayload(checked.data);
}

function envelopeOf(key: string, body: string, context: LogContext): string {
  const head: Envelope = {
    v: 1,
    run: key,
    root: key,
    meta: {
      correlation_id: context.correlationId,
      ...(context.causationId && { causation_id: context.causationId }),
      ...(context.traceparent && { traceparent: context.traceparent }),
      enqueued_at: new Date().toISOString(),
    },
    ...(isLarge(body) && { ref: { sha256: sha256(body) } }),
  };
  const text = JSON.stringify(head);
  // The body is spliced in as it was encoded: one encoding, and the hash stays true of what is stored.
  return isLarge(body) ? text : `${text.slice(0, -1)},"body":${body}}`;
}

/** Whether a run with this key is planned or ended. For callers that must not wait for a conflict. */
export async function runState(db: Queryable, runKey: string): Promise<'enqueued' | 'done' | 'dead' | undefined> {
  const { rows } = await db.query<{ state: 'enqueued' | 'done' | 'dead' }>(
    sql`select state from ops.job_run where run_key = ${runKey}`,
  );
  return rows[0]?.state;
}
