import { type Actor, audit } from '../audit/index.ts';
import { whyAbsent } from '../dead-letters/index.ts';
import type { Database, Queryable, Tx } from '../postgres/index.ts';
import { personalPathsOf, type QueueRegistry } from '../queues/index.ts';
import { attemptsOf, type StoredRun } from './attempts.ts';
import { causeText } from './cause-text.ts';
import type { LetterAttempt, LetterDetail } from './contract.ts';
import * as queries from './entry-queries.ts';
import { rowOf } from './list.ts';
import { longestShown, type PayloadView, type StoredPayload, viewPayload } from './payload-view.ts';

/** Who looks at a letter, and how much of its payload is shown. */
export interface Viewing {
  readonly id: string;
  readonly actor: Actor;
  /** Tells what the kinds of jobs declare to be personal. */
  readonly registry: QueueRegistry;
  /** The payload in clear: whoever calls has checked the permission. */
  readonly isClear: boolean;
  /** Why it is shown in clear, in the actor's words. */
  readonly reason?: string | undefined;
}

/** Attempts that one letter's answer holds. */
const attemptsShown = 50;

/** Everything about one letter; writes the audit row `dlq.entry_viewed` in the transaction of the read. Throws refusal `not_found` or `removed_by_retention`. */
export async function viewLetter(db: Database, viewing: Viewing): Promise<LetterDetail> {
  return db.transaction(async (tx) => {
    const letter = await found(tx, viewing.id);
    const runs = await queries.readRuns(tx, letter);
    const payload = viewPayload(payloadOf(letter), { ...readerOf(viewing, letter), most: longestShown });
    const detail = {
      ...rowOf(letter),
      payload: payload.value,
      ...payloadFields(letter, payload),
      payload_truncated: payload.truncated,
      ...evidenceFields(letter),
      attempts_history: (await attempts(tx, runs)).slice(0, attemptsShown),
      deploy: deployOf(letter),
      lineage: await lineageOf(tx, letter, runs),
      notes: (letter.notes_count > 0 ? await queries.readNotes(tx, letter.id) : []).map((note) => ({
        ...note,
        created_at: note.created_at.toISOString(),
      })),
    };
    await recordView(tx, viewing, letter, 'entry');
    return detail;
  });
}

/** The whole payload of one letter, whatever its size; audited as a view. Throws refusal `not_found` or `removed_by_retention`. */
export async function viewWholePayload(db: Database, viewing: Viewing) {
  return db.transaction(async (tx) => {
    const letter = await found(tx, viewing.id);
    const view = viewPayload(payloadOf(letter), readerOf(viewing, letter));
    await recordView(tx, viewing, letter, 'payload');
    return { id: letter.id, ...payloadFields(letter, view) };
  });
}

/** Every attempt at the work of a letter, newest first. Throws refusal `not_found` or `removed_by_retention`. */
export async function readAttempts(db: Queryable, id: string): Promise<LetterAttempt[]> {
  return attempts(db, await queries.readRuns(db, await found(db, id)));
}

/** The version of a letter; undefined when there is none. Not a view: nothing is audited. */
export async function letterVersion(db: Queryable, id: string): Promise<number | undefined> {
  return queries.readVersion(db, id);
}

async function found(db: Queryable, id: string): Promise<queries.StoredLetter> {
  const letter = await queries.readLetter(db, id);
  if (!letter) throw await whyAbsent(db, id);
  return letter;
}

function readerOf({ isClear, registry }: Viewing, { queue_name, kind }: queries.StoredLetter) {
  return { isClear, paths: personalPathsOf(registry, queue_name, kind) };
}

async function recordView(tx: Tx, { actor, isClear, reason }: Viewing, letter: queries.StoredLetter, part: string) {
  await audit(tx, {
    actor,
    action: 'dlq.entry_viewed',
    targetType: 'dead_letter',
    targetId: letter.id,
    reason,
    details: { part, payload: isClear ? 'clear' : 'masked', version: letter.version },
  });
}

async function attempts(db: Queryable, runs: readonly StoredRun[]): Promise<LetterAttempt[]> {
  const ids = runs.flatMap(({ worker, attempts_history }) => [
    worker,
    ...(attempts_history ?? []).map((one) => one.worker),
  ]);
  const workers = await queries.readWorkers(
    db,
    [...new Set(ids)].filter((id) => id !== null),
  );
  return attemptsOf(runs, workers);
}

function payloadOf({
  encoding,
  body,
  bytes,
  sha256,
  payload_version,
}: queries.StoredLetter): StoredPayload | undefined {
  if (encoding === null || sha256 === null) return undefined;
  return { version: payload_version, encoding, body, bytes, sha256 };
}

function payloadFields(letter: queries.StoredLetter, { text, encoding, masked }: PayloadView) {
  return {
    payload_text: text,
    payload_encoding: encoding,
    payload_bytes: letter.payload_bytes,
    payload_sha256: letter.sha256,
    payload_version: letter.payload_version,
    payload_masked: masked,
  };
}

function evidenceFields(letter: queries.StoredLetter) {
  const { stack_trace, error_code, worker_host, causation_id, traceparent, ticket, synthetic, resolution } = letter;
  const resolvedAt = letter.resolved_at?.toISOString() ?? null;
  return {
    stack_trace,
    error_code,
    cause_text: causeText(letter.cause),
    first_failed_at: letter.first_failed_at.toISOString(),
    worker_host,
    causation_id,
    traceparent,
    ticket,
    synthetic,
    resolution:
      resolution && resolvedAt
        ? {
            how: resolution.how,
            by: resolution.by_name ?? resolution.by ?? null,
            at: resolvedAt,
            reason: resolution.reason ?? null,
            ticket: resolution.ticket ?? null,
          }
        : null,
    resolved_at: resolvedAt,
    resolved_by: letter.resolved_by,
    evidence: {
      state: letter.evidence_lacks === null ? ('complete' as const) : ('partial' as const),
      lacks: letter.evidence_lacks,
    },
  };
}

/** A deploy is the first start of a worker with a new version. */
function deployOf(letter: queries.StoredLetter): LetterDetail['deploy'] {
  const { worker_version, first_version, deployed_version, deployed_at, failed_at } = letter;
  const deploy = { version: worker_version, commit: null, first_version };
  if (deployed_version === null || deployed_at === null) return { ...deploy, last: null };
  const minutes = (failed_at.getTime() - deployed_at.getTime()) / 60_000;
  return {
    ...deploy,
    last: { version: deployed_version, at: deployed_at.toISOString(), minutes_before: Math.round(minutes * 10) / 10 },
  };
}

async function lineageOf(
  db: Queryable,
  letter: queries.StoredLetter,
  runs: readonly StoredRun[],
): Promise<LetterDetail['lineage']> {
  // What a letter never had is not asked for: each question is a round trip of every view.
  const asked = letter.generation > 0 ? await queries.readRetries(db, letter.id) : [];
  const patches = letter.payload_version > 0 ? await queries.readPatches(db, letter.id) : [];
  const byGeneration = new Map(asked.map((retry) => [retry.generation, retry]));
  const original = runs.find(({ generation }) => generation === 0);
  const retries = runs.filter(({ generation }) => generation > 0).sort((a, b) => b.generation - a.generation);
  return {
    original: original ? runOf(original, undefined) : null,
    retries: retries.map((run) => runOf(run, byGeneration.get(run.generation))),
    redrives: (await queries.readRedrives(db, letter.id)).map(({ at, ...redrive }) => ({
      ...redrive,
      at: at?.toISOString() ?? null,
    })),
    patches: patches.map(({ created_at, changed, ...patch }) => ({
      ...patch,
      changed: changed ?? [],
      at: created_at.toISOString(),
    })),
  };
}

function runOf(run: StoredRun, asked: queries.StoredRetry | undefined): LetterDetail['lineage']['retries'][number] {
  const outcome = run.state === 'enqueued' ? (run.started > run.finished ? 'running' : 'waiting') : run.state;
  return {
    job_id: run.run_key,
    generation: run.generation,
    queue: run.queue,
    outcome,
    cause: run.cause,
    enqueued_at: run.enqueued_at.toISOString(),
    finished_at: run.finished_at?.toISOString() ?? null,
    by: asked?.by ?? null,
    reason: asked?.reason ?? null,
    redrive_id: asked?.redrive_id ?? null,
  };
}
