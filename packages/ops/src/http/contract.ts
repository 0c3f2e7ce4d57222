import { z } from 'zod';

/** The answer of `GET /me`: who asks, what they may do, and how far. */
export const me = z.object({
  actor: z.object({ id: z.string(), name: z.string(), via: z.string() }),
  /** All that the caller holds, the host's own included, in alphabetical order. */
  permissions: z.array(z.string()),
  /** Until when the second factor opens what is marked †; null without one. In the past when it is stale. */
  mfa_fresh_until: z.iso.datetime().nullable(),
  /** What kind of installation this is, so that nobody takes one for another. */
  environment: z.string(),
  limits: z.object({
    /** Rows of one page of a list. */
    list_rows: z.int(),
    /** Rows that can be paged through; cursors go further. */
    paged_rows: z.int(),
    /** Rows of one export. */
    export_rows: z.int(),
    /** Letters of one redrive. */
    redrive_items: z.int(),
    /** Seconds that a second factor stays fresh. */
    mfa_fresh_s: z.int(),
  }),
});

/** Who asks, what they may do, and how far. */
export type Me = z.infer<typeof me>;
