import { z } from 'zod';

/** One queue of `GET /queues`. Counts of jobs; ages in seconds. */
export const queueRow = z.object({
  name: z.string(),
  aliases: z.array(z.string()),
  depth: z.int(),
  active: z.int(),
  failed_last_hour: z.int(),
  dlq_size: z.int(),
  delayed: z.int(),
  not_dispatched: z.int(),
  oldest_job_age_s: z.number().nullable(),
  workers: z.int(),
  paused: z.boolean().nullable(),
});

/** The answer of `GET /queues`. */
export const queueOverview = z.object({
  queues: z.array(queueRow),
  as_of: z.iso.datetime(),
  counted_from: z.enum(['redis', 'postgres']),
});
