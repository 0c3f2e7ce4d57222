import { z } from 'zod';

const at = z.iso.datetime();

/** What one probe found. */
export const probeResult = z.object({
  name: z.string(),
  /** What is always true. */
  title: z.string(),
  state: z.enum(['ok', 'breached', 'not_checked']),
  /** Why it was not checked. */
  reason: z.string().nullable(),
  /** The first 20 rows that break it, by ids. */
  rows: z.array(z.record(z.string(), z.unknown())),
  count: z.int(),
  /** There are more than `count`. */
  count_is_minimum: z.boolean(),
  /** What changed before was not looked at; null where all was. */
  since: at.nullable(),
  ms: z.int(),
  /** What to do first; null where nothing is to be done. */
  next: z.string().nullable(),
});
export type ProbeResult = z.infer<typeof probeResult>;

/** A part of the system. `attention` is worth knowing and no fault; `unknown` could not be asked. */
export const doctorPart = z.object({
  name: z.string(),
  state: z.enum(['ok', 'attention', 'bad', 'unknown']),
  says: z.string(),
  next: z.string().nullable(),
});
export type DoctorPart = z.infer<typeof doctorPart>;

/** The answer of `GET /doctor`. */
export const doctorReport = z.object({
  /** Every probe holds, and no part is bad or unknown. */
  ok: z.boolean(),
  checked_at: at,
  /** Whether everything was looked at, and not only what changed since the last look that found all well. */
  full: z.boolean(),
  ms: z.int(),
  probes: z.array(probeResult),
  parts: z.array(doctorPart),
});
export type DoctorReport = z.infer<typeof doctorReport>;
