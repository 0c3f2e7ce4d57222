import { z } from 'zod';

/** Who paused a queue, and until when; an end of null is until somebody resumes it. */
export const queuePause = z.object({
  by: z.string(),
  at: z.iso.datetime(),
  reason: z.string(),
  until: z.iso.datetime().nullable(),
});

/** One queue of `GET /queues`, as an operator sees it. Counts of jobs; ages in seconds. */
export const queueRow = z.object({
  name: z.string(),
  aliases: z.array(z.string()),
  /** Ready and waiting, also while paused; not active, not delayed. */
  depth: z.int(),
  active: z.int(),
  /** Runs that got the verdict dead in the last 60 minutes. */
  failed_last_hour: z.int(),
  /** Open dead letters. */
  dlq_size: z.int(),
  delayed: z.int(),
  /** Committed, but not yet in Redis; at least this many when all queues together have over 100,000 of them, null when unknown. */
  not_dispatched: z.int().nullable(),
  /** Age of the oldest job that could run and has not begun; null when none waits. */
  oldest_job_age_s: z.number().nullable(),
  /** Worker processes seen in the last 30 s. */
  workers: z.int(),
  /** Failed attempts of the last 60 minutes, those that will be tried again included; null when no worker reported any attempt. */
  attempts_failed_last_hour: z.int().nullable(),
  /** Pieces of work that died and are not captured. */
  proof_gap: z.int(),
  /** What an operator wishes of the queue; Redis follows within a second. */
  paused: queuePause.nullable(),
  /** Whether no job begins: the wish, once Redis follows it, or somebody's behind the plane's back. Null when Redis cannot be asked. */
  paused_in_redis: z.boolean().nullable(),
});

/** The answer of `GET /queues`. */
export const queueOverview = z.object({
  queues: z.array(queueRow),
  /** ISO 8601. */
  as_of: z.iso.datetime(),
  /** `postgres` while Redis cannot be asked: an outage shows a growing number, not an empty queue. */
  counted_from: z.enum(['redis', 'postgres']),
});

/** Who paused a queue, and until when. Times are ISO 8601. */
export type QueuePause = z.infer<typeof queuePause>;
/** One queue as an operator sees it. Counts of jobs; ages in seconds. */
export type QueueRow = z.infer<typeof queueRow>;
/** Every queue, and when and where it was counted. */
export type QueueOverview = z.infer<typeof queueOverview>;
