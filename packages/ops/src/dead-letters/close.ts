import type { Actor } from '../audit/index.ts';
import { currentContext } from '../logging/index.ts';
import { sql, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import type { Claim } from './claim.ts';
import { conflictOf, readLetter } from './letter.ts';

/** Resolve: the work is done or no longer needed. Discard: it will not be done. Restore undoes either. */
export type Closing = 'resolve' | 'discard' | 'restore';

export interface CloseOptions {
  readonly action: Closing;
  readonly actor: Actor;
  /** Stored as "not given" where there is none. */
  readonly reason?: string | undefined;
  /** An https link. */
  readonly ticket?: string | undefined;
  readonly redriveId?: string | undefined;
}

const acts = {
  resolve: { state: 'resolved', how: 'manual', audit: 'dlq.entry_resolved' },
  discard: { state: 'discarded', how: 'discarded', audit: 'dlq.entry_discarded' },
  restore: { state: 'pending', how: null, audit: 'dlq.entry_restored' },
} as const;

/** What each action may start from. What a run has done cannot be undone by restoring its letter. */
const startsFrom = {
  resolve: sql`l.state in ('pending', 'snoozed')`,
  discard: sql`l.state in ('pending', 'snoozed')`,
  restore: sql`l.resolved and l.resolution ->> 'how' not in ('retried', 'probe')`,
};

/**
 * Closes or restores letters, with an audit row each, in one statement. Of many callers who want different things of one letter, one
 * gets its way; letters in another state, or changed, are absent from the answer.
 */
export async function closeLetters(
  tx: Tx,
  claims: readonly Claim[],
  options: CloseOptions,
): Promise<{ letterId: string }[]> {
  const { action, actor, reason = 'not given', ticket, redriveId } = options;
  const { state, how, audit } = acts[action];
  const wanted = claims.map(({ letterId, version }) => ({ letter_id: letterId, version }));
  const resolution = how && { how, by: actor.id, by_name: actor.name, via: actor.via, reason, ticket };
  const details = { ...(ticket && { ticket }), ...(redriveId && { redrive_id: redriveId }) };
  const { rows } = await tx.query<{ letter_id: string }>(sql`
    with wanted as materialized (
      select letter_id, version from json_to_recordset(${JSON.stringify(wanted)}::json) as w(letter_id uuid, version int)),
    closed as (
      update ops.dead_letter_queue l
      set state = ${state}, version = l.version + 1, snoozed_until = null,
          resolved_at = ${how ? sql`clock_timestamp()` : sql`null::timestamptz`},
          resolved_by = ${how ? uuidOf(actor) : null}::uuid, resolution = ${resolution ? JSON.stringify(resolution) : null}::jsonb,
          ticket = coalesce(${ticket ?? null}, l.ticket)
      from wanted w
      where l.id = w.letter_id and l.version = coalesce(w.version, l.version) and ${startsFrom[action]}
      returning l.id),
    audited as (
      insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, reason, details, correlation_id)
      select ${actor.id}, ${actor.name}, ${actor.via}, ${audit}, 'dead_letter', id::text, ${reason}, ${JSON.stringify(details)}::jsonb,
             ${currentContext()?.correlationId ?? 'none'}
      from closed)
    select id as letter_id from closed`);
  return rows.map(({ letter_id }) => ({ letterId: letter_id }));
}

/** Ids of people are UUIDs; tokens, schedules and the command line have others. */
function uuidOf(actor: Actor): string | null {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(actor.id) ? actor.id : null;
}

export interface CloseLetter extends CloseOptions {
  readonly id: string;
  readonly expectedVersion?: number | undefined;
}

/**
 * Closes or restores one letter. `already`: it was so before, and the first reason stands. Throws refusal `not_found`, `version_changed`,
 * `already_retrying`, `already_resolved` (to discard what is resolved), `not_resolved` or `done_by_run` (to restore).
 */
export async function closeLetter(
  tx: Tx,
  { id, expectedVersion, ...options }: CloseLetter,
): Promise<{ already: boolean }> {
  const seen = await readLetter(tx, id, expectedVersion);
  const [closed] = await closeLetters(tx, [{ letterId: id, version: seen.version }], options);
  if (closed) return { already: false };
  // Somebody may have been first since it was read.
  const now = await readLetter(tx, id);
  if (now.state === acts[options.action].state) return { already: true };
  throw await whyNot(tx, now, options.action);
}

async function whyNot(tx: Tx, letter: Awaited<ReturnType<typeof readLetter>>, action: Closing) {
  const details = await conflictOf(tx, letter);
  if (letter.state === 'retrying') return refuse('already_retrying', details);
  if (action !== 'restore') return refuse(letter.resolved ? 'already_resolved' : 'version_changed', details);
  if (!letter.resolved) return refuse('not_resolved', details);
  return refuse('done_by_run', details);
}
