import { z } from 'zod';

const at = z.iso.datetime();

/** One act, as the audit log shows it. */
export const auditRow = z.object({
  seq: z.int(),
  /** Its place in the chain; null within the second before it is linked. */
  n: z.int().nullable(),
  at,
  actor: z.string(),
  actor_name: z.string(),
  via: z.string(),
  action: z.string(),
  target_type: z.string(),
  target_id: z.string(),
  reason: z.string().nullable(),
  details: z.record(z.string(), z.unknown()),
  correlation_id: z.string(),
});
export type AuditRow = z.infer<typeof auditRow>;

/** The answer of `GET /audit`, newest first. */
export const auditList = z.object({
  items: z.array(auditRow),
  pagination: z.object({ limit: z.int(), next_cursor: z.string().nullable() }),
});
export type AuditList = z.infer<typeof auditList>;

export const auditFaultKinds = [
  'edited',
  'missing',
  'swapped',
  'unsealed',
  'not_linked',
  'tail_cut',
  'restored',
  'no_anchor',
] as const;

/** The act of going on with a chain whose key is gone. */
export const adoptionAction = 'keys.adopted';

/** The first thing that is wrong. */
export const auditFault = z.object({
  kind: z.enum(auditFaultKinds),
  /** Place in the chain; null for a row that has none. */
  n: z.int().nullable(),
  /** Of the row; null where that is not known any more. */
  seq: z.int().nullable(),
  what: z.string(),
});
export type AuditFault = z.infer<typeof auditFault>;

/** The answer of `GET /audit/verify`. */
export const auditVerdict = z.object({
  ok: z.boolean(),
  fault: auditFault.nullable(),
  /** Rows that were read. */
  checked: z.int(),
  /** Whether the host has a key, so that seals could be judged. */
  sealed: z.boolean(),
  head: z.object({ n: z.int(), seq: z.int(), hash: z.string() }).nullable(),
  /** Committed rows that wait for their link: for a second or so while a scheduler runs. */
  pending: z.object({ count: z.int(), oldest_at: at.nullable() }),
  /** How many anchors there were to compare with, and the newest; null where none. Without one a cut tail cannot be seen. */
  anchor: z.object({ count: z.int(), n: z.int(), at }).nullable(),
  /** Where the chain was gone on with although the key before was gone: up to there nobody can check seals, and only anchors tell. */
  adoptions: z.array(z.object({ n: z.int(), at })),
  duration_ms: z.int(),
});
export type AuditVerdict = z.infer<typeof auditVerdict>;
