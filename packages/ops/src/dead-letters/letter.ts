import { type Queryable, sql } from '../postgres/index.ts';
import { type Refusal, refuse } from '../refusals/index.ts';

export const letterStates = ['pending', 'snoozed', 'retrying', 'resolved', 'discarded'] as const;
export type LetterState = (typeof letterStates)[number];

/** What an action needs to know of a letter. */
export interface Letter {
  readonly id: string;
  readonly source: 'queue' | 'stream';
  readonly queue: string;
  readonly kind: string;
  readonly state: LetterState;
  readonly resolved: boolean;
  readonly version: number;
  readonly generation: number;
  readonly payloadVersion: number;
  /** Null when nothing was kept. */
  readonly payload: { encoding: 'json' | 'escaped' | 'bytes'; body: string | null; sha256: string } | null;
  readonly firstFailedAt: string;
  readonly resolution: Readonly<Record<string, unknown>> | null;
  readonly resolvedAt: string | null;
}

/** Throws refusal `not_found`, `removed_by_retention`, or `version_changed` with the present version. */
export async function readLetter(tx: Queryable, id: string, expectedVersion?: number): Promise<Letter> {
  const { rows } = await tx.query<Letter>(sql`
    select l.id, l.source, l.queue_name as queue, l.kind, l.state, l.resolved, l.version, l.generation,
           l.payload_version as "payloadVersion", to_jsonb(l.first_failed_at) #>> '{}' as "firstFailedAt", l.resolution,
           to_jsonb(l.resolved_at) #>> '{}' as "resolvedAt",
           case when p.letter_id is not null
                then jsonb_build_object('encoding', p.encoding, 'sha256', p.sha256) || jsonb_build_object('body', p.body) end as payload
    from ops.dead_letter_queue l
    left join ops.dead_letter_payload p on p.letter_id = l.id and p.version = l.payload_version
    where l.id = ${id}::uuid`);
  const letter = rows[0];
  if (!letter) throw await whyAbsent(tx, id);
  if (expectedVersion !== undefined && letter.version !== expectedVersion) {
    throw refuse('version_changed', {
      version: letter.version,
      state: letter.state,
      ...(await conflictOf(tx, letter)),
    });
  }
  return letter;
}

/**
 * The refusal for a letter that is not there: `removed_by_retention` where the audit log shows that it was, with its last act and the
 * last run of retention; else `not_found`.
 */
export async function whyAbsent(db: Queryable, id: string): Promise<Refusal> {
  const { rows } = await db.query<Record<string, unknown>>(sql`
    select last.actor_name as by, to_jsonb(last.at) #>> '{}' as at, last.via, last.action,
           to_jsonb(ran.at) #>> '{}' as retention_ran_at
    from (
      select * from ops.audit_log where target_type = 'dead_letter' and target_id = lower(${id})
      order by seq desc limit 1) last
    cross join lateral (
      select at from ops.audit_log
      where action = 'dlq.retention_ran' and seq > last.seq
      order by seq desc limit 1) ran`);
  return rows[0] ? refuse('removed_by_retention', rows[0]) : refuse('not_found');
}

/** Who was first: `by`, `at` and `via` of the act that the letter's present state comes from. */
export async function conflictOf(tx: Queryable, { id }: Letter): Promise<Record<string, unknown>> {
  const { rows } = await tx.query<{ by: string; at: string; via: string; action: string; reason: string | null }>(sql`
    select actor_name as by, to_jsonb(at) #>> '{}' as at, via, action, reason
    from ops.audit_log
    where target_type = 'dead_letter' and target_id = ${id}
      and action in ('dlq.job_retried', 'dlq.entry_resolved', 'dlq.entry_discarded', 'dlq.entry_restored')
    order by seq desc limit 1`);
  return rows[0] ? { ...rows[0] } : {};
}
