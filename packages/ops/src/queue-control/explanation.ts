import type { QueuePause, RedisPlace } from '../queues/index.ts';
import { type Explanation, type JobState, type WaitCode, waitCodes } from './contract.ts';
import { etaOf } from './eta.ts';
import { reasonTexts } from './reason-texts.ts';

/** What is known of a queue when somebody asks why something waits in it. */
export interface QueueFacts {
  readonly now: Date;
  readonly queue: string;
  readonly pause: QueuePause | null;
  /** Null while Redis cannot be asked. */
  readonly redis: {
    readonly paused: boolean;
    readonly waiting: number;
    readonly active: number;
    /** A limit of BullMQ lets nothing through for this long, in ms. */
    readonly limitedForMs: number;
  } | null;
  /** Worker processes seen lately. */
  readonly workers: number;
  /** Attempts completed a minute, over 5 minutes; null when nobody knows. */
  readonly perMinute: number | null;
  /** A redrive that sends jobs into the queue. */
  readonly redrive: { readonly id: string; readonly name: string } | null;
  /** Above this many waiting jobs in Redis nothing more is handed over. */
  readonly mostWaiting: number;
}

/** What is known of one job. */
export interface JobFacts {
  readonly jobId: string;
  readonly state: JobState;
  readonly enqueuedAt: Date;
  /** Not before this time. */
  readonly runAt: Date;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  readonly dispatched: boolean;
  readonly priority: number;
  readonly isRetry: boolean;
  /** Attempts that ended without a word, the one under way not counted. */
  readonly crashes: number;
  readonly place: RedisPlace | null;
  /** When the worker that began it was last seen; null when it never began. */
  readonly workerSeenAt: Date | null;
  /** Jobs that come first; null when nobody knows. */
  readonly ahead: number | null;
}

/** What waits in a queue as a whole. */
export interface BacklogFacts {
  readonly depth: number;
  readonly active: number;
  readonly delayed: number;
  readonly notDispatched: number | null;
  readonly oldestAgeS: number | null;
}

export type ReasonFacts = Readonly<Record<string, string | number | boolean | null>>;

export interface Reason {
  readonly code: WaitCode;
  readonly facts: ReasonFacts;
}

/** A worker that was not seen for this long is silent, in ms. */
const silentAfterMs = 30_000;

/** Why a job does not run, the strongest reason first. Pure. */
export function explainJob(queue: QueueFacts, job: JobFacts): Explanation {
  const isOpen = job.state !== 'done' && job.state !== 'dead';
  const found = isOpen ? [...queueReasons(queue, job.state), ...jobReasons(queue, job)] : [];
  const isAtRest = isOpen && job.state !== 'active';
  const reasons = found.length === 0 && isAtRest ? [{ code: 'unknown' as const, facts: {} }] : found;
  return {
    state: job.state,
    since: sinceOf(job).toISOString(),
    reasons: inOrder(reasons).map((reason) => ({ ...reason, ...reasonTexts(reason, queue, job.jobId) })),
    ahead: isAtRest ? job.ahead : null,
    eta: isAtRest ? etaOf(queue, { ahead: job.ahead, notBefore: job.runAt }) : null,
  };
}

/** Why jobs of a queue wait, the strongest reason first. Pure. */
export function explainQueue(queue: QueueFacts, backlog: BacklogFacts): Explanation {
  const { depth, active, delayed, notDispatched, oldestAgeS } = backlog;
  const waits = depth > 0 || (notDispatched ?? 0) > 0;
  const found = [
    ...queueReasons(queue, waits ? 'waiting' : 'done'),
    ...(notDispatched ? [handoverReason(queue, { not_dispatched: notDispatched })] : []),
    ...(waits ? busyReasons(queue, depth) : []),
    ...(!waits && delayed > 0 ? [{ code: 'delayed_until' as const, facts: { delayed } }] : []),
    ...(waits && queue.redrive ? [redriveReason(queue.redrive)] : []),
  ];
  const reasons = found.length === 0 && waits ? [{ code: 'unknown' as const, facts: {} }] : found;
  return {
    state: waits ? 'waiting' : active > 0 ? 'working' : delayed > 0 ? 'delayed' : 'idle',
    since: oldestAgeS === null ? null : new Date(queue.now.getTime() - oldestAgeS * 1_000).toISOString(),
    reasons: inOrder(reasons).map((reason) => ({ ...reason, ...reasonTexts(reason, queue) })),
    ahead: depth,
    eta: waits ? etaOf(queue, { ahead: depth, notBefore: queue.now }) : null,
  };
}

function sinceOf({ state, runAt, startedAt, endedAt, enqueuedAt }: JobFacts): Date {
  if (state === 'active') return startedAt ?? enqueuedAt;
  if (state === 'done' || state === 'dead') return endedAt ?? enqueuedAt;
  return state === 'waiting' ? runAt : (startedAt ?? enqueuedAt);
}

/** What holds for every job of the queue. */
function queueReasons(queue: QueueFacts, state: JobState): Reason[] {
  const { pause, redis, workers } = queue;
  const reasons: Reason[] = [];
  if (pause) reasons.push({ code: 'queue_paused', facts: { ...pause } });
  else if (redis?.paused) reasons.push({ code: 'queue_paused', facts: { by: null, outside: true } });
  if (!redis) reasons.push({ code: 'redis_unavailable', facts: {} });
  if (workers === 0 && state !== 'done') reasons.push({ code: 'no_workers', facts: { seen_within_s: 30 } });
  if (redis && redis.limitedForMs > 0 && state === 'waiting') {
    reasons.push({ code: 'rate_limited', facts: { for_ms: redis.limitedForMs } });
  }
  return reasons;
}

function jobReasons(queue: QueueFacts, job: JobFacts): Reason[] {
  if (job.state === 'active') return activeReasons(queue, job);
  const reasons: Reason[] = [];
  if (!job.dispatched) reasons.push(handoverReason(queue, {}));
  if (job.state === 'delayed') reasons.push({ code: 'delayed_until', facts: { until: job.runAt.toISOString() } });
  if (job.place?.state === 'waiting_children') reasons.push({ code: 'waiting_for_children', facts: {} });
  if (job.place && job.place.aheadByPriority > 0) {
    reasons.push({ code: 'behind_priority', facts: { ahead: job.place.aheadByPriority, priority: job.priority } });
  }
  if (queue.redrive && job.isRetry) reasons.push(redriveReason(queue.redrive));
  if (job.state === 'waiting' && (job.ahead ?? 0) > 0) reasons.push(...busyReasons(queue, job.ahead ?? 0));
  if (job.crashes > 0) reasons.push({ code: 'stalled_before', facts: { times: job.crashes } });
  return reasons;
}

/** A job under way waits for nothing, unless nobody works on it any more. */
function activeReasons({ now, redis }: QueueFacts, { place, workerSeenAt, crashes }: JobFacts): Reason[] {
  const unseenMs = workerSeenAt ? now.getTime() - workerSeenAt.getTime() : 0;
  const lostLock = redis !== null && place !== null && !place.hasLock;
  const isSilent = lostLock || unseenMs > silentAfterMs;
  const seen = { lock_held: place?.hasLock ?? null, last_seen_at: workerSeenAt?.toISOString() ?? null };
  return [
    ...(isSilent ? [{ code: 'worker_silent' as const, facts: seen }] : []),
    ...(crashes > 0 ? [{ code: 'stalled_before' as const, facts: { times: crashes } }] : []),
  ];
}

function handoverReason({ redis, mostWaiting }: QueueFacts, facts: ReasonFacts): Reason {
  const isFull = redis !== null && redis.waiting >= mostWaiting;
  return { code: 'not_dispatched', facts: { ...facts, queue_full: isFull, most_waiting: mostWaiting } };
}

function busyReasons({ workers, redis, perMinute }: QueueFacts, ahead: number): Reason[] {
  if (workers === 0) return [];
  return [{ code: 'workers_busy', facts: { ahead, workers, active: redis?.active ?? null, per_minute: perMinute } }];
}

function redriveReason({ id, name }: { id: string; name: string }): Reason {
  return { code: 'behind_redrive', facts: { redrive_id: id, name } };
}

function inOrder(reasons: readonly Reason[]): Reason[] {
  return reasons.toSorted((a, b) => waitCodes.indexOf(a.code) - waitCodes.indexOf(b.code));
}
