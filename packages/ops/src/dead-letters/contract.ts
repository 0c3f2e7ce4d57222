import { z } from 'zod';

const reason = z
  .string()
  .transform((text) => text.trim())
  .pipe(z.string().min(5, 'must have 5 to 500 characters').max(500, 'must have 5 to 500 characters'));

/** Deepest and longest patch an operator may send. */
const patchOperation = z.discriminatedUnion('op', [
  z.strictObject({ op: z.enum(['add', 'replace', 'test']), path: z.string().max(500), value: z.json() }),
  z.strictObject({ op: z.literal('remove'), path: z.string().max(500) }),
  z.strictObject({ op: z.enum(['move', 'copy']), from: z.string().max(500), path: z.string().max(500) }),
]);

/** JSON Patch (RFC 6902). */
export const jsonPatch = z.array(patchOperation).min(1).max(100);

/** The body of `POST /queues/dlq/:id/retry`; every key is optional. */
export const retryBody = z.strictObject({
  reason: reason.optional(),
  dry_run: z.boolean().optional(),
  delay_ms: z.int().min(0).max(2_592_000_000).optional(),
  target_queue: z.string().max(100).optional(),
  patch: jsonPatch.optional(),
  confirm: z.string().max(200).optional(),
  accept_stale: z.boolean().optional(),
  expected_version: z.int().optional(),
  expected_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits')
    .optional(),
});

/** A retry that is decided and recorded; it stays so if Redis is away. */
export const retryAnswer = z.object({
  ok: z.literal(true),
  job_id: z.string(),
  message: z.literal('Job re-enqueued successfully'),
  state: z.literal('retrying'),
  generation: z.int(),
  queue: z.string(),
  /** `pending` while Redis is away. */
  dispatch: z.enum(['under_way', 'pending']),
  note: z.string().optional(),
});

/** What a retry with `dry_run` would do. */
export const retryPreview = z.object({
  ok: z.literal(true),
  dry_run: z.literal(true),
  queue: z.string(),
  kind: z.string(),
  job_id: z.string(),
  side_effect: z.enum(['idempotent', 'guarded', 'unsafe']),
  diff: z.array(z.unknown()),
  warnings: z.array(z.string()),
});

export const deleteBody = z.strictObject({
  reason: reason.optional(),
  ticket: z.url({ protocol: /^https$/ }).optional(),
});
export const deleteAnswer = z.object({
  ok: z.literal(true),
  message: z.literal('DLQ entry marked as resolved'),
  already: z.literal(true).optional(),
  by: z.string().optional(),
  at: z.string().optional(),
});

export const closeBody = z.strictObject({
  reason,
  ticket: z.url({ protocol: /^https$/ }).optional(),
  expected_version: z.int().optional(),
});
export const closeAnswer = z.object({
  id: z.uuid(),
  state: z.enum(['pending', 'snoozed', 'retrying', 'resolved', 'discarded']),
  version: z.int(),
  resolution: z.record(z.string(), z.unknown()).nullable(),
  already: z.literal(true).optional(),
});
