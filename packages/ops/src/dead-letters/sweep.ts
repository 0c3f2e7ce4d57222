import type { Failpoint } from '../failpoints/index.ts';
import { type Database, sql } from '../postgres/index.ts';
import {
  type DeathCause,
  type DeathWriter,
  describeFailure,
  type Dying,
  type Envelope,
  type FailedJob,
  type FailedSets,
  personalPathsOf,
  type QueueRegistry,
  readEnvelope,
} from '../queues/index.ts';
import { captureForeignDeaths, type Evidence } from './capture.ts';

export interface SweepDeps {
  readonly db: Database;
  readonly registry: QueueRegistry;
  readonly failedSets: FailedSets;
  readonly deaths: DeathWriter;
  readonly failpoint: Failpoint;
  /** Told of each letter of a job that Postgres knew nothing of. */
  readonly onForeign: (queue: string, cause: DeathCause) => void;
}

export interface SweepResult {
  readonly captured: number;
  readonly removed: number;
  /** Jobs of foreign flows, and jobs over 16 MB: captured, and left where they are. */
  readonly left: number;
}

const pageSize = 500;
/** A larger payload is kept in part, and its job stays in Redis. */
const largestPayload = 16 * 1024 * 1024;
const keptOfLarge = 1024 * 1024;

/**
 * The second net: everything in a queue's failed set. A run that is still open died without a word of ours (BullMQ fails a job that
 * stalled too often without calling its processor) and is captured; a run that is decided needs no more than removal; a job that
 * Postgres does not know is captured as it is. Always reads from rank 0: scores are clocks of workers.
 */
export async function sweepQueue(deps: SweepDeps, queue: string, signal: AbortSignal): Promise<SweepResult> {
  let result: SweepResult = { captured: 0, removed: 0, left: 0 };
  await deps.failedSets.failUnreadable(queue);
  while (!signal.aborted) {
    const page = await deps.failedSets.read(queue, result.left, pageSize);
    const swept = await sweepPage(deps, queue, page);
    result = {
      captured: result.captured + swept.captured,
      removed: result.removed + swept.removed,
      left: result.left + swept.left,
    };
    // What was neither removed nor left was retried by somebody meanwhile, or is tried again in the next pass.
    if (page.length < pageSize || swept.removed + swept.left === 0) break;
  }
  return result;
}

/** A job of the failed set, as far as it can be read. */
interface Swept {
  readonly job: FailedJob;
  /** Undefined for what is not ours. */
  readonly envelope: Envelope | undefined;
  /** Where its kind declares what is about persons. */
  readonly paths: readonly string[];
  readonly runKey: string;
}

async function sweepPage(deps: SweepDeps, queue: string, page: readonly FailedJob[]): Promise<SweepResult> {
  if (page.length === 0) return { captured: 0, removed: 0, left: 0 };
  const jobs = page.map((job): Swept => {
    const envelope = readEnvelope(jsonOf(job.data));
    const paths = personalPathsOf(deps.registry, queue, job.name);
    return { job, envelope, paths, runKey: wellFormed(envelope?.run ?? job.id) };
  });
  const known = await statesOf(
    deps.db,
    jobs.map(({ runKey }) => runKey),
  );
  const open = jobs.filter(({ envelope, runKey }) => envelope !== undefined && known.get(runKey) === 'enqueued');
  const buried = await Promise.all(open.map((one) => deps.deaths.bury(dyingOf(one, queue))));
  // The id of a run without its envelope is what is left of a job that Redis lost in part: Postgres has it whole, and hands it over again.
  const foreign = jobs.filter(({ runKey }) => !known.has(runKey));
  const made = await captureForeign(deps, queue, foreign);
  await deps.failpoint('sweep.before_forget', queue);
  const left = page.filter(isLeft);
  const removed = await deps.failedSets.forget(
    queue,
    page.filter((job) => !isLeft(job)),
  );
  return { captured: buried.filter(Boolean).length + made, removed, left: left.length };
}

/** Captured, and left where it is. */
export function isLeft({ hasParent, data }: FailedJob): boolean {
  return hasParent || (data?.length ?? 0) > largestPayload;
}

async function statesOf(db: Database, runKeys: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await db.query<{ run_key: string; state: string }>(
    sql`select run_key, state from ops.job_run where run_key = any (${runKeys}::text[])`,
  );
  return new Map(rows.map(({ run_key, state }) => [run_key, state]));
}

const stalled = /stalled more than allowable limit/;

function dyingOf(swept: Swept, queue: string): Dying {
  return { runKey: swept.runKey, queue, cause: causeOf(swept.job), failure: failureOf(swept) };
}

function causeOf(job: FailedJob): DeathCause {
  if (stalled.test(job.failedReason)) return 'stalled';
  return job.attemptsMade >= job.attempts ? 'exhausted' : 'permanent';
}

/** What is not ours has no payload apart from the rest: all of it may be repeated in the error. */
function failureOf({ job: { failedReason, stack, data }, envelope, paths }: Swept) {
  const body = envelope ? envelope.body : data?.toString();
  const error = new Error(failedReason);
  error.name = stalled.test(failedReason) ? 'Stalled' : (/^(\w{1,80}): /.exec(failedReason)?.[1] ?? 'Error');
  error.stack = stack;
  return { ...describeFailure(error, body, paths), class: 'permanent' as const };
}

/** Captures jobs without a run: ours which Postgres lost or never had, and those that are not ours. One bad page never holds its mates. */
async function captureForeign(deps: SweepDeps, queue: string, jobs: readonly Swept[]): Promise<number> {
  if (jobs.length === 0) return 0;
  const evidence = jobs.map((job) => evidenceOf(job, queue));
  const made = await deps.db.transaction(async (tx) => {
    const letters = await captureForeignDeaths(tx, evidence);
    if (letters > 0) await tx.query(sql`insert into ops.job_death (queue, deaths) values (${queue}, ${letters})`);
    return letters;
  });
  for (const { cause } of evidence.slice(0, made)) deps.onForeign(queue, cause);
  return made;
}

function evidenceOf(swept: Swept, queue: string): Evidence {
  const { job, envelope } = swept;
  const at = timeOf(job.finishedOn).toISOString();
  const failure = failureOf(swept);
  return {
    queue,
    failure: envelope ? { ...failure, type: 'Orphaned' } : failure,
    kind: wellFormed(job.name).slice(0, 200),
    jobId: wellFormed(job.id),
    runKey: envelope ? wellFormed(envelope.run) : null,
    // A job without an envelope has no name for its work: its id and its end are one.
    rootKey: wellFormed(envelope?.root ?? `${job.id}@${job.finishedOn}`),
    cause: envelope ? 'orphaned' : 'unreadable',
    attempts: Math.min(Math.max(Math.trunc(job.attemptsMade), 0), mostAttempts),
    diedAt: at,
    correlationId: wellFormed(envelope?.meta.correlation_id ?? 'none'),
    causationId: textOrNull(envelope?.meta.causation_id),
    traceparent: textOrNull(envelope?.meta.traceparent),
    ...contentOf(job, envelope !== undefined),
  };
}

const mostAttempts = 1_000_000;

/** Redis says when it ended; a text that is no time of this era counts as now. */
function timeOf(finishedOn: string): Date {
  const at = Number(finishedOn);
  return new Date(at > 0 && at < 4e12 ? at : Date.now());
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? wellFormed(value) : null;
}

/** A text that Postgres takes as a key: whoever wrote it may have meant harm. */
function wellFormed(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\ufffd').slice(0, 400);
}

type Content = Pick<Evidence, 'body' | 'bytes' | 'lacks'>;

/** The payload as it was: text where the bytes are one that Postgres takes, else the bytes. */
function contentOf({ data }: FailedJob, isOurs: boolean): Content {
  if (data === undefined) return { body: undefined, lacks: 'payload: Redis had none' };
  if (data.length > largestPayload) {
    const lacks = `payload: ${data.length} bytes, of which the first ${keptOfLarge} are kept`;
    return { body: undefined, bytes: data.subarray(0, keptOfLarge).toString('base64'), lacks };
  }
  const text = data.toString('utf8');
  const isText = !text.includes('\u0000') && Buffer.from(text, 'utf8').equals(data) && depthIsModest(text);
  if (!isText) return { body: undefined, bytes: data.toString('base64') };
  return { body: isOurs ? payloadOf(text) : text };
}

function payloadOf(text: string): string | undefined {
  const { body } = JSON.parse(text) as { body?: unknown };
  return body === undefined ? undefined : JSON.stringify(body);
}

/** Postgres asks its stack how deep a text nests, and fails the statement when that is too deep. */
const deepest = 1_000;

function depthIsModest(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if ((char === 91 || char === 123) && ++depth > deepest) return false;
    if (char === 93 || char === 125) depth -= 1;
  }
  return true;
}

function jsonOf(data: Buffer | undefined): unknown {
  if (data === undefined || data.length > largestPayload) return undefined;
  try {
    return JSON.parse(data.toString('utf8'));
  } catch {
    return undefined;
  }
}
