import { z } from 'zod';
import { queueRow } from '../queues/contract.ts';

const reason = z
  .string()
  .transform((text) => text.trim())
  .pipe(z.string().min(5, 'must have 5 to 500 characters').max(500, 'must have 5 to 500 characters'));

/** Longest pause that ends by itself, in seconds: 30 days. */
const longestPauseS = 30 * 86_400;

/** The body of `POST /queues/:queue/pause`. Without `for_s` the pause lasts until somebody resumes the queue. */
export const pauseBody = z.strictObject({ reason, for_s: z.int().min(1).max(longestPauseS).optional() });

/** The body of `POST /queues/:queue/resume`. */
export const resumeBody = z.strictObject({ reason: reason.optional() });

/** The body of `POST /queues/:queue/jobs/:job_id/remove`. */
export const removeBody = z.strictObject({ reason });

/** A queue after a pause or a resume. `already`: it was so before, and nothing was recorded. */
export const controlledQueue = queueRow.extend({ already: z.boolean() });

const quantiles = z.object({ p50: z.number(), p95: z.number(), p99: z.number() });

/** One queue of `GET /queues/:queue`. */
export const queueDetail = queueRow.extend({
  as_of: z.iso.datetime(),
  counted_from: z.enum(['redis', 'postgres']),
  processes: z.array(
    z.object({
      id: z.string(),
      host: z.string(),
      pid: z.int(),
      version: z.string(),
      started_at: z.iso.datetime(),
      last_seen_at: z.iso.datetime(),
      /** Jobs of this queue it has under way; null when Redis cannot be asked. The first 50 by their ids. */
      active: z.int().nullable(),
      active_jobs: z.array(z.string()),
    }),
  ),
  /** Of jobs that were enqueued and done in the window below; null when there were none. In ms. */
  wait_ms: quantiles.nullable(),
  run_ms: quantiles.nullable(),
  in_per_minute: z.number(),
  /** Attempts completed, over the last 5 minutes; null when no worker reported any. */
  out_per_minute: z.number().nullable(),
  /** What the figures above come from: jobs done, in a window that ends now. */
  measured: z.object({ jobs: z.int(), window_s: z.number() }),
  /** Jobs under way whose worker holds no lock on them; null when Redis cannot be asked. */
  stalled: z.int().nullable(),
  /** What is unwise in the options of the queue, or of jobs that wait in it. */
  lint: z.array(z.object({ code: z.string(), text: z.string(), jobs: z.array(z.string()) })),
});

export const jobStates = ['waiting', 'active', 'delayed', 'done', 'dead'] as const;

/** A job in a list: no payload. Times are ISO 8601. */
export const jobRow = z.object({
  job_id: z.string(),
  queue: z.string(),
  kind: z.string(),
  state: z.enum(jobStates),
  /** Starts so far. */
  attempts: z.int(),
  failures: z.int(),
  max_attempts: z.int(),
  priority: z.int(),
  generation: z.int(),
  enqueued_at: z.iso.datetime(),
  /** Not before this time. */
  run_at: z.iso.datetime(),
  /** Of the newest attempt. */
  started_at: z.iso.datetime().nullable(),
  ended_at: z.iso.datetime().nullable(),
  cause: z.string().nullable(),
  dead_letter_id: z.string().nullable(),
  correlation_id: z.string(),
  /** False while the job is committed and not yet in Redis; null once it has ended. */
  dispatched: z.boolean().nullable(),
});

/** The answer of `GET /queues/:queue/jobs`. A page may hold fewer than `limit` and have a next one: each looks at a bounded number of jobs. */
export const jobList = z.object({
  jobs: z.array(jobRow),
  pagination: z.object({ limit: z.int(), next_cursor: z.string().nullable() }),
});

/** One attempt of a job, as recorded when it ended. */
const jobAttempt = z.object({
  attempt: z.int().nullable(),
  outcome: z.string(),
  started_at: z.string().nullable(),
  ended_at: z.string().nullable(),
  duration_ms: z.number().nullable(),
  worker: z.string().nullable(),
  error: z.object({ type: z.string(), message: z.string(), code: z.string().nullable(), stack: z.string() }).nullable(),
});

/** The answer of `GET /queues/:queue/jobs/:job_id`. */
export const jobView = jobRow.extend({
  root_key: z.string(),
  causation_id: z.string().nullable(),
  traceparent: z.string().nullable(),
  dispatches: z.int().nullable(),
  dispatched_at: z.iso.datetime().nullable(),
  /** Attempts that ended without a word. */
  crashes: z.int(),
  /** Of the newest attempt, in ms. */
  wait_ms: z.number().nullable(),
  run_ms: z.number().nullable(),
  worker: z
    .object({ id: z.string(), host: z.string(), pid: z.int(), version: z.string(), last_seen_at: z.iso.datetime() })
    .nullable(),
  /** Newest first. Successful attempts leave no record of their own. */
  attempts_history: z.array(jobAttempt),
  payload: z.unknown(),
  /** Paths whose values are masked; empty when it is shown in clear. */
  payload_masked: z.array(z.string()),
  /** Why there is no payload; null when there is one. */
  payload_lacks: z.string().nullable(),
});

/** The answer of `POST /queues/:queue/jobs/:job_id/promote`. */
export const promotedJob = z.object({ ok: z.literal(true), job: jobRow });

/** The answer of `POST /queues/:queue/jobs/:job_id/remove`. */
export const removedJob = z.object({
  ok: z.literal(true),
  dead_letter_id: z.string(),
  /** The job was removed before, and nothing was recorded. */
  already: z.boolean(),
});

/** Why something waits, the strongest first: what stops everything, what stops this job, what slows it down. */
export const waitCodes = [
  'queue_paused',
  'redis_unavailable',
  'no_workers',
  'worker_silent',
  'delayed_until',
  'not_dispatched',
  'waiting_for_children',
  'rate_limited',
  'behind_priority',
  'behind_redrive',
  'workers_busy',
  'stalled_before',
  'unknown',
] as const;

/** Why something waits, the strongest reason first. */
export const explanation = z.object({
  state: z.enum([...jobStates, 'idle', 'working']),
  /** Since when it is in this state; null when nobody knows, or nothing waits. */
  since: z.iso.datetime().nullable(),
  reasons: z.array(
    z.object({
      code: z.enum(waitCodes),
      text: z.string(),
      facts: z.record(z.string(), z.unknown()),
      /** The request that would help, below the root of this API; null when there is none. */
      action: z.object({ method: z.enum(['GET', 'POST']), path: z.string(), permission: z.string() }).nullable(),
    }),
  ),
  /** Jobs that come first; null when nobody knows. */
  ahead: z.int().nullable(),
  /** When it will run at the present rate; null when it never will, or when nobody knows the rate. */
  eta: z.object({ at: z.iso.datetime(), basis: z.string(), sure: z.boolean() }).nullable(),
});

/** Why something waits. */
export type Explanation = z.infer<typeof explanation>;
export type JobRow = z.infer<typeof jobRow>;
export type JobState = (typeof jobStates)[number];
export type WaitCode = (typeof waitCodes)[number];
