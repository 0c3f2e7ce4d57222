import type { Operation } from 'rfc6902';
import type { Actor } from '../audit/index.ts';
import { sql, type Tx } from '../postgres/index.ts';
import { type JobKind, type QueueRegistry, sha256 } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';
import { claimLetters } from './claim.ts';
import { type Edited, editPayload, isJson } from './edit.ts';
import { conflictOf, type Letter, readLetter } from './letter.ts';

/** What a retry may ask; all of it is optional. */
export interface RetryRequest {
  readonly reason?: string | undefined;
  /** Answers what would happen, and writes nothing. */
  readonly dryRun?: boolean | undefined;
  readonly delayMs?: number | undefined;
  /** Name or alias of a queue that accepts the kind. */
  readonly targetQueue?: string | undefined;
  /** JSON Patch on the payload; asks for a reason and the hash of the payload that was seen. */
  readonly patch?: readonly Operation[] | undefined;
  /** The kind's name, for a kind whose repeats do harm. */
  readonly confirm?: string | undefined;
  /** Retries although the kind's safe window is over. */
  readonly acceptStale?: boolean | undefined;
  readonly expectedVersion?: number | undefined;
  readonly expectedSha256?: string | undefined;
}

export interface RetryOptions {
  readonly id: string;
  readonly ask: RetryRequest;
  readonly actor: Actor;
  readonly registry: QueueRegistry;
  readonly now: Date;
}

/** What a retry does, or would do. */
export interface RetryPlan {
  readonly queue: string;
  readonly kind: string;
  readonly jobId: string;
  readonly generation: number;
  readonly sideEffect: JobKind['sideEffect'];
  readonly edited: Edited | undefined;
  readonly warnings: readonly string[];
}

/**
 * Retries one letter exactly once, however many ask for it at the same time. Throws a refusal: `not_found`, `already_retrying`,
 * `already_resolved`, `version_changed`, `reason_required`, `approval_needed`, `target_refuses_kind`, `patch_failed`, `path_locked` or
 * `payload_invalid`.
 */
export async function retryLetter(tx: Tx, { id, ask, actor, registry, now }: RetryOptions): Promise<RetryPlan> {
  const letter = await readLetter(tx, id, ask.expectedVersion);
  await refuseUnlessOpen(tx, letter);
  const plan = planRetry(letter, ask, registry, now);
  if (ask.dryRun) return plan;
  if (plan.edited) await storeEdit(tx, letter, plan.edited, { author: actor.id, reason: ask.reason });
  const [claimed] = await claimLetters(tx, [{ letterId: id, version: letter.version }], {
    registry,
    actor,
    reason: ask.reason,
    delayMs: ask.delayMs,
    ...(ask.targetQueue !== undefined && { targetQueue: plan.queue }),
    ...(plan.edited && { details: editDetails(letter, plan.edited) }),
  });
  if (claimed) return plan;
  const present = await readLetter(tx, id);
  await refuseUnlessOpen(tx, present);
  throw refuse('version_changed', {
    version: present.version,
    state: present.state,
    ...(await conflictOf(tx, present)),
  });
}

async function refuseUnlessOpen(tx: Tx, letter: Letter): Promise<void> {
  if (letter.resolved) throw refuse('already_resolved', await conflictOf(tx, letter));
  if (letter.state === 'retrying') throw refuse('already_retrying', await conflictOf(tx, letter));
}

/** Decides what a retry would do. Pure; throws the refusals that need no database. */
function planRetry(letter: Letter, ask: RetryRequest, registry: QueueRegistry, now: Date): RetryPlan {
  const queue = targetOf(letter, ask, registry);
  const kind = registry.get(queue)?.kinds[letter.kind];
  if (!kind)
    throw refuse('target_refuses_kind', {
      kind: letter.kind,
      queue,
      accepted_by: acceptingQueues(letter.kind, registry),
    });
  refuseHarm(letter, ask, kind, now);
  return {
    queue,
    kind: letter.kind,
    generation: letter.generation + 1,
    jobId: `dlq-${letter.id}-r${letter.generation + 1}`,
    sideEffect: kind.sideEffect,
    edited: ask.patch ? edit(letter, ask, kind) : withPayload(letter),
    warnings:
      kind.sideEffect === 'unsafe' ? ['a repeat of this kind of job does harm where the first one had its effect'] : [],
  };
}

function targetOf(letter: Letter, ask: RetryRequest, registry: QueueRegistry): string {
  if (ask.targetQueue === undefined) return letter.queue;
  if (ask.reason === undefined) throw refuse('reason_required', { because: 'target_queue' });
  const target = registry.resolve(ask.targetQueue);
  if (target !== undefined) return target;
  throw refuse('target_refuses_kind', {
    kind: letter.kind,
    queue: ask.targetQueue,
    accepted_by: acceptingQueues(letter.kind, registry),
  });
}

function acceptingQueues(kind: string, registry: QueueRegistry): string[] {
  return registry.definitions.filter((definition) => definition.kinds[kind]).map(({ name }) => name);
}

function refuseHarm(letter: Letter, ask: RetryRequest, kind: JobKind, now: Date): void {
  if (kind.sideEffect === 'unsafe' && (ask.reason === undefined || ask.confirm !== letter.kind)) {
    throw refuse('approval_needed', {
      because: 'unsafe',
      needs: { reason: '5 to 500 characters', confirm: letter.kind },
    });
  }
  const ageMs = now.getTime() - Date.parse(letter.firstFailedAt);
  if (kind.safeForMs !== undefined && ageMs > kind.safeForMs && !ask.acceptStale) {
    throw refuse('approval_needed', {
      because: 'past_safe_window',
      safe_for_ms: kind.safeForMs,
      needs: { accept_stale: true },
    });
  }
}

/** A payload that no job can carry must be replaced first. */
function withPayload(letter: Letter): undefined {
  const { encoding, body } = letter.payload ?? {};
  if (encoding === 'json' && body && isJson(body)) return undefined;
  const faults = [{ at: 'payload', message: 'was not kept as JSON: retry with a patch that replaces it whole' }];
  throw refuse('payload_invalid', { faults });
}

function edit(letter: Letter, ask: RetryRequest, kind: JobKind): Edited {
  if (ask.reason === undefined) throw refuse('reason_required', { because: 'patch' });
  const seen = letter.payload?.sha256 ?? null;
  if (ask.expectedSha256 === undefined) {
    throw refuse('validation_failed', {
      faults: [{ at: 'body.expected_sha256', message: 'a patch needs the hash of the payload you saw' }],
    });
  }
  if (ask.expectedSha256 !== seen)
    throw refuse('version_changed', { payload_sha256: seen, payload_version: letter.payloadVersion });
  return editPayload(letter.payload?.encoding === 'json' ? letter.payload.body : null, ask.patch ?? [], kind);
}

/** Adds a version of the payload; the one before it stays as it was. */
async function storeEdit(
  tx: Tx,
  letter: Letter,
  edited: Edited,
  { author, reason }: { author: string; reason: string | undefined },
): Promise<void> {
  const version = letter.payloadVersion + 1;
  // Of two edits at once, one gets the version; the other waits here and is refused by the claim.
  await tx.query(sql`
    with mine as (
      update ops.dead_letter_queue set payload_version = ${version}::int
      where id = ${letter.id}::uuid and version = ${letter.version}::int and state in ('pending', 'snoozed') returning id)
    insert into ops.dead_letter_payload (letter_id, version, body, sha256, author, reason, changed)
    select id, ${version}::int, ${edited.text}, encode(sha256(convert_to(${edited.text}, 'UTF8')), 'hex'), ${author}, ${reason},
           ${edited.changed}::text[]
    from mine`);
}

/** For the audit row: hashes and paths, never values. */
function editDetails(letter: Letter, { text, changed }: Edited): Record<string, unknown> {
  return { payload_sha256: { before: letter.payload?.sha256 ?? null, after: sha256(text) }, changed };
}
