import { randomUUID } from 'node:crypto';
import { currentContext, type LogContext } from '../logging/index.ts';
import { prepared, type Queryable, type Sql, sql } from '../postgres/index.ts';

/** A fact to be told. Its payload carries ids, cents and enums: never personal data, never a token. */
export interface EventDraft {
  readonly stream: string;
  /** `<aggregate>.<past tense>`, such as `lead.submitted`. */
  readonly type: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  /** The aggregate's `version` after the change. Lock and raise it before the event is appended. */
  readonly aggregateVersion: number;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Default 1. */
  readonly schemaVersion?: number;
  /** What the event follows from. Default: the running work. For a caller that writes for several pieces of work at once. */
  readonly context?: LogContext;
}

/**
 * The insert of some events as a statement, to stand alone or inside a `with`.
 * `when` is an optional `from …` clause, which may name the event as `e`: no row of it, no event.
 */
export function eventsInsert(events: readonly EventDraft[], when?: Sql): Sql {
  const running = currentContext() ?? { correlationId: 'none' };
  const contexts = events.map((event) => event.context ?? running);
  return sql`
    insert into ops.event_outbox (event_id, stream, type, schema_version, aggregate_type, aggregate_id,
                                  aggregate_version, payload, correlation_id, causation_id, traceparent)
    select e.*
    from unnest(${events.map(() => randomUUID())}::uuid[], ${events.map((event) => event.stream)}::text[],
                ${events.map((event) => event.type)}::text[], ${events.map((event) => event.schemaVersion ?? 1)}::int[],
                ${events.map((event) => event.aggregateType)}::text[], ${events.map((event) => event.aggregateId)}::text[],
                ${events.map((event) => event.aggregateVersion)}::bigint[],
                ${events.map((event) => JSON.stringify(event.payload))}::jsonb[],
                ${contexts.map((context) => context.correlationId)}::text[],
                ${contexts.map((context) => context.causationId ?? null)}::text[],
                ${contexts.map((context) => context.traceparent ?? null)}::text[])
      as e(event_id, stream, type, schema_version, aggregate_type, aggregate_id, aggregate_version, payload,
           correlation_id, causation_id, traceparent)
    ${when ? sql`where exists (select ${when})` : sql``}`;
}

/** What the events of {@link eventsOf} have in common. */
export type EventKind = Pick<EventDraft, 'stream' | 'type' | 'aggregateType' | 'schemaVersion'>;

/**
 * The insert of one event for each row of `rows`, as a statement or a CTE: for one that tells of what it has just changed itself.
 * `rows` names a CTE with the columns `aggregate_id`, `aggregate_version`, `payload` (jsonb) and `correlation_id`; what else the events follow
 * from is the running work.
 */
export function eventsOf(rows: Sql, { stream, type, aggregateType, schemaVersion = 1 }: EventKind): Sql {
  const running = currentContext();
  return sql`
    insert into ops.event_outbox (event_id, stream, type, schema_version, aggregate_type, aggregate_id,
                                  aggregate_version, payload, correlation_id, causation_id, traceparent)
    select gen_random_uuid(), ${stream}, ${type}, ${schemaVersion}::int, ${aggregateType}, r.aggregate_id::text,
           r.aggregate_version, r.payload, r.correlation_id, ${running?.causationId ?? null}, ${running?.traceparent ?? null}
    from ${rows} r`;
}

/** Appends events in the caller's transaction, in the given order. An empty list does nothing. */
export async function appendEvents(tx: Queryable, events: readonly EventDraft[]): Promise<void> {
  if (events.length > 0) await tx.query(prepared('append_events', eventsInsert(events)));
}
