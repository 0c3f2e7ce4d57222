import { z } from 'zod';

/** What a redrive does with each letter. */
export const redriveActions = ['retry', 'resolve', 'discard', 'restore'] as const;

export const redriveStates = [
  'planning',
  'planned',
  'expired',
  'waiting',
  'canary',
  'running',
  'paused',
  'stopped',
  'aborting',
  'done',
  'aborted',
] as const;

export const itemOutcomes = ['planned', 'enqueued', 'succeeded', 'failed', 'skipped', 'cancelled'] as const;

const reason = z.string().trim().min(5, 'must have 5 to 500 characters').max(500, 'must have 5 to 500 characters');

const ratio = (form: string) => z.number().min(0, form).max(1, form);

/** Retries a second; `auto` is limited by the governor alone. */
export const redriveRate = z.union(
  [z.literal('auto'), z.int().min(1).max(500)],
  'must be "auto" or a whole number from 1 to 500',
);

const canaryOptions = z.strictObject({
  size: z.int().min(1).max(100).default(5),
  min_success: ratio('must be from 0 to 1').default(1),
  /** Shares of the plan that may be out one after another; the last is 1. */
  // oxlint-disable-next-line unicorn/no-thenable -- a list of numbers, which no await calls
  then: z
    .array(z.number().gt(0).max(1))
    .min(1)
    .max(10)
    .refine((shares) => shares.at(-1) === 1 && shares.every((share, at) => at === 0 || share > (shares[at - 1] ?? 0)), {
      message: 'must rise, and end with 1',
    })
    .default([0.05, 0.25, 1]),
});

/** How a redrive runs. Defaults: 25 a second for retries and `auto` else, oldest first, a canary of 5. */
export const redriveOptions = z.strictObject({
  rate: redriveRate.optional(),
  order: z.enum(['oldest', 'newest']).default('oldest'),
  /** Null sends no canary. */
  canary: canaryOptions.nullable().prefault({}),
  stop_when: z
    .strictObject({
      success_below: ratio('must be from 0 to 1').default(0.95),
      new_fingerprint: z.boolean().default(true),
    })
    .prefault({}),
  target_queue: z.string().max(100).nullable().default(null),
  patch: z.null('a redrive sends payloads as they are; patch single entries with their own retry').default(null),
  include_unsafe: z.boolean().default(false),
});

/** Body of `POST /redrives`: a filter, or the ids of 1,000 letters at most. */
export const redrivePlanRequest = z
  .strictObject({
    name: z.string().trim().min(1).max(200),
    action: z.enum(redriveActions).default('retry'),
    filter: z.string().max(4_000).optional(),
    ids: z.array(z.uuid()).min(1).max(1_000, 'at most 1,000 ids; use a filter for more').optional(),
    options: redriveOptions.prefault({}),
  })
  .refine(({ filter, ids }) => (filter === undefined) !== (ids === undefined), {
    message: 'give either a filter or ids',
    path: ['filter'],
  });

export const redriveStartRequest = z.strictObject({
  plan_hash: z.string().max(100),
  confirm_count: z.int().min(0),
  reason,
  /** Goes on although more than a tenth of the items changed; those are skipped. */
  accept_drift: z.boolean().default(false),
});

/** Body of pause, resume and continue; only the last needs its reason. */
export const redriveReason = z.strictObject({ reason: reason.optional() });
export const redriveContinueRequest = z.strictObject({ reason });
export const redriveRateRequest = z.strictObject({ rate: redriveRate });
export const redriveAbortRequest = z.strictObject({
  reason,
  /** Takes back what was sent and has not begun. */
  recall: z.boolean().default(false),
});

const person = z.object({ id: z.string(), name: z.string() });
const time = z.iso.datetime();
const counts = z.record(z.string(), z.int());

export const redriveProgress = z.object({
  total: z.int(),
  planned: z.int(),
  enqueued: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  skipped: z.int(),
  cancelled: z.int(),
});

/** One redrive of the list. */
export const redriveSummary = z.object({
  id: z.uuid(),
  name: z.string(),
  action: z.enum(redriveActions),
  state: z.enum(redriveStates),
  /** Canonical, its times absolute; null when the letters were named by their ids. */
  filter: z.string().nullable(),
  included: z.int().nullable(),
  destinations: z.array(z.string()),
  created_by: person,
  created_at: time,
  reason: z.string().nullable(),
  started_by: person.nullable(),
  started_at: time.nullable(),
  /** Until then an abort touches nothing. */
  undo_until: time.nullable(),
  /** The redrive that must end first: one runs per destination queue. */
  waiting_behind: z.object({ id: z.uuid(), name: z.string(), state: z.enum(redriveStates) }).nullable(),
  stopped_because: z.record(z.string(), z.unknown()).nullable(),
  progress: redriveProgress,
  /** `effective` is null while nothing but the window limits it. */
  rate: z.object({ asked: redriveRate, effective: z.number().nullable(), limited_by: z.string().nullable() }),
  eta: z.object({ at: time.nullable(), basis: z.string() }).nullable(),
  canary: z
    .object({
      picked: z.int(),
      verdict: z.enum(['passed', 'failed', 'inconclusive']).nullable(),
      why: z.string().nullable(),
      versions: z.array(z.string()),
    })
    .nullable(),
  new_fingerprints: z.array(z.string()),
  ended_at: time.nullable(),
  acknowledged_by: person.nullable(),
  acknowledged_at: time.nullable(),
  version: z.int(),
  /** True when what was asked already held. */
  already: z.literal(true).optional(),
});

/** One redrive with its plan. */
export const redriveDetail = redriveSummary.extend({
  options: redriveOptions,
  plan_hash: z.string().nullable(),
  frozen_at: time.nullable(),
  expires_at: time.nullable(),
  matched: z.int().nullable(),
  /** Matched but not taken, by reason. */
  left_out: counts,
  by_queue: counts,
  by_kind: counts,
  by_error: counts,
  by_age: counts,
  by_effect: counts,
  /** The host's own count of what is affected. */
  touches: z.record(z.string(), z.number()),
  estimate: z
    .object({
      duration_s: z.number().nullable(),
      finish_at: time.nullable(),
      live_delay_s: z.number().nullable(),
      basis: z.string(),
    })
    .nullable(),
  warnings: z.array(z.string()),
  samples: z.array(
    z.object({
      id: z.uuid(),
      queue: z.string(),
      kind: z.string(),
      error_type: z.string(),
      error_message: z.string(),
      fingerprint: z.string(),
      failed_at: time,
    }),
  ),
  approval: z.object({ needed: z.boolean(), because: z.string().nullable() }),
  approved_by: person.nullable(),
  approved_at: time.nullable(),
});

export const redriveList = z.object({
  redrives: z.array(redriveSummary),
  pagination: z.object({ limit: z.int(), next_cursor: z.string().nullable() }),
});

export const redriveItem = z.object({
  ord: z.int(),
  letter_id: z.uuid(),
  /** Of the retry; null before it was sent, and for what needs none. */
  job_id: z.string().nullable(),
  is_canary: z.boolean(),
  outcome: z.enum(itemOutcomes),
  why: z.string().nullable(),
  enqueued_at: time.nullable(),
  decided_at: time.nullable(),
  new_fingerprint: z.string().nullable(),
});

export const redriveItems = z.object({
  items: z.array(redriveItem),
  pagination: z.object({ limit: z.int(), next_cursor: z.string().nullable() }),
});

export type RedriveAction = (typeof redriveActions)[number];
export type RedriveState = (typeof redriveStates)[number];
export type RedriveOptions = z.infer<typeof redriveOptions>;
export type RedriveRate = z.infer<typeof redriveRate>;
export type RedriveProgress = z.infer<typeof redriveProgress>;
export type RedriveSummary = z.infer<typeof redriveSummary>;
export type RedriveDetail = z.infer<typeof redriveDetail>;
export type PlanRequest = z.infer<typeof redrivePlanRequest>;
export type StartRequest = z.infer<typeof redriveStartRequest>;
export type RedriveItem = z.infer<typeof redriveItem>;
