import { z } from 'zod';
import { defineQueue } from '../queues/index.ts';

/** A run that another run of its schedule holds up is put back and offered again; so there is time for many. */
const longestRunMs = 3_600_000;

/** The queue of the runs of schedules. A host that has schedules lists it among its queues. Key: `sch-<schedule>-<unix seconds>`. */
export const schedulerQueue = defineQueue({
  name: 'scheduler',
  attempts: 3,
  backoffMs: [30_000, 120_000],
  kinds: {
    run_schedule: {
      schema: z.strictObject({ v: z.literal(1), schedule: z.string(), run_id: z.uuid(), fire_at: z.iso.datetime() }),
      sideEffect: 'guarded',
      lockedPaths: ['/schedule', '/run_id', '/fire_at'],
      timeoutMs: longestRunMs,
    },
  },
});
