import { z } from 'zod';

const at = z.iso.datetime();

/** A number of the window, of the window before it, and the difference. */
export const reportFigure = z.object({ value: z.int(), previous: z.int(), change: z.int() });

/** Deaths with one value in common, as a part of all in the window. */
const share = { count: z.int(), share: z.number() };

const flows = {
  captured: z.int(),
  /** Those of retries too. */
  deaths: z.int(),
  resolved: z.int(),
  discarded: z.int(),
  retried_ok: z.int(),
};

/** The answer of `GET /queues/dlq/report`. Windows are whole hours, the running one among them. */
export const deadLetterReport = z.object({
  hours: z.int(),
  since: at,
  as_of: at,
  /** The canonical text of the filter. */
  filter: z.string(),
  totals: z.object({
    captured: reportFigure,
    deaths: reportFigure,
    resolved: reportFigure,
    discarded: reportFigure,
    retried_ok: reportFigure,
    open_now: reportFigure,
    /** Since the last death of the open letter that waits longest; null when nothing is open. */
    oldest_open_s: z.number().nullable(),
    /** Of the newest 5,000 letters closed in the window; null when none was. */
    median_time_to_close_s: z.number().nullable(),
  }),
  by_queue: z.array(z.object({ queue: z.string(), source: z.string(), ...flows })),
  /** The 50 groups that died most. */
  by_error: z.array(
    z.object({
      fingerprint: z.string(),
      title: z.string(),
      ...share,
      /** First seen in the window. */
      new: z.boolean(),
    }),
  ),
  by_cause: z.array(z.object({ cause: z.string(), ...share })),
  by_version: z.array(z.object({ version: z.string().nullable(), ...share })),
  /** Oldest first. */
  by_hour: z.array(z.object({ hour: at, ...flows, partial: z.literal(true).optional() })),
  /** Deaths an hour, now and in the window before. */
  trend: z.object({
    direction: z.enum(['rising', 'falling', 'steady']),
    rate_per_h: z.number(),
    previous_rate_per_h: z.number(),
  }),
});

export const proofProbe = z.object({
  /** When it was asked for. */
  at,
  /** Null while it has not run yet: the queue is paused, busy or without workers. */
  ok: z.boolean().nullable(),
  took_ms: z.int().nullable(),
});

export const proofRow = z.object({
  name: z.string(),
  source: z.enum(['queue', 'stream']),
  failed: z.int(),
  captured: z.int(),
  resolved: z.int(),
  discarded: z.int(),
  open: z.int(),
  gap: z.int(),
  oldest_gap_s: z.number().nullable(),
  capture_errors: z.int(),
  probe: proofProbe.nullable(),
});

/** The answer of `GET /queues/dlq/proof`: failed = captured = resolved + discarded + open, for each row. */
export const captureProof = z.object({
  /** False when a gap is older than 10 s. */
  ok: z.boolean(),
  gap: z.int(),
  as_of: at,
  /** `postgres` while Redis cannot be asked what it alone knows. */
  counted_from: z.enum(['redis', 'postgres']),
  rows: z.array(proofRow),
});

export const repairBody = z.strictObject({ reason: z.string().trim().min(5).max(500) });
export const repairAnswer = z.object({ ok: z.literal(true), message: z.literal('Sweep started') });

/** A count that stops at 100,000. */
const bounded = z.object({ count: z.int(), count_is_minimum: z.literal(true).optional() });

/** The answer of `GET /queues/dlq/retention`. */
export const retentionPreview = z.object({
  closed_days: z.int(),
  next_at: at,
  /** Closed letters that will be old enough by then. */
  removes: bounded.extend({ oldest_closed_at: at.nullable() }),
  /** Open letters that would be old enough, if they were closed. */
  holds: bounded.extend({ oldest_failed_at: at.nullable() }),
  last: z.object({ at, removed: z.record(z.string(), z.int()) }).nullable(),
});
