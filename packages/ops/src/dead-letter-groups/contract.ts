import { z } from 'zod';

const at = z.iso.datetime();

/** Until a time, until so many deaths, or until the first of both. */
export const snoozeLimits = z.object({ until: at.nullable(), until_deaths: z.int().nullable() });

/** One kind of failure. `count` obeys the filter; `state`, `deaths` and `open` are of the whole group. */
export const deadLetterGroup = z.object({
  fingerprint: z.string(),
  title: z.string(),
  error_type: z.string(),
  message: z.string(),
  frame: z.string().nullable(),
  count: z.int(),
  open: z.int(),
  /** Those of retries too. */
  deaths: z.int(),
  queues: z.array(z.string()),
  causes: z.array(z.string()),
  first_seen: at,
  last_seen: at,
  /** Deaths in the last 24 hours, oldest first; the last is of the running hour. */
  hourly: z.array(z.int()).length(24),
  /** How much faster it grows than before; above 0 is faster. */
  growth: z.int(),
  growing: z.boolean(),
  first_version: z.string().nullable(),
  last_version: z.string().nullable(),
  state: z.enum(['active', 'snoozed', 'fixed', 'regressed', 'quiet']),
  fixed_in: z.string().nullable(),
  assignee: z.string().nullable(),
  snooze: snoozeLimits.nullable(),
  ticket: z.string().nullable(),
  last_canary: z.unknown().nullable(),
  sample_id: z.uuid().nullable(),
  notes_count: z.int(),
  version: z.int(),
});

export const groupSorts = ['-last_seen', '-count', '-growth'] as const;
export type GroupSort = (typeof groupSorts)[number];

/** The answer of `GET /queues/dlq/groups`. */
export const deadLetterGroups = z.object({
  groups: z.array(deadLetterGroup),
  pagination: z.object({ limit: z.int(), next_cursor: z.string().nullable(), prev_cursor: z.string().nullable() }),
  /** The canonical text of the filter. */
  filter: z.string(),
});

/** What a person wrote of a letter or a group; never edited. */
export const deadLetterNote = z.object({
  id: z.uuid(),
  author: z.string(),
  author_name: z.string(),
  text: z.string(),
  created_at: at,
});

/** The answer of `GET /queues/dlq/groups/:fp`. */
export const deadLetterGroupDetail = deadLetterGroup.extend({
  fixed: z.object({ version: z.string(), by: z.string(), at }).nullable(),
  regressed_at: at.nullable(),
  /** Newest first, 200 at most. */
  notes: z.array(deadLetterNote),
  /** First start of a worker of each version, newest first. */
  deploys: z.array(z.object({ version: z.string(), at })),
  /** The three inputs of the fingerprint, and the version of what made it. */
  why: z.object({
    classifier: z.int(),
    error_type: z.string(),
    message: z.string(),
    frame: z.string().nullable(),
  }),
  same_frame: z.array(z.object({ fingerprint: z.string(), title: z.string(), last_seen: at })),
});

/** What people decided of a letter or a group; the answer of each write of it. */
export const annotations = z.object({
  /** Of a letter. */
  id: z.uuid().optional(),
  /** Of the group, or the letter's. */
  fingerprint: z.string(),
  state: z.string().optional(),
  assignee: z.string().nullable(),
  ticket: z.string().nullable(),
  snooze: snoozeLimits.nullable(),
  fixed_in: z.string().nullable().optional(),
  notes_count: z.int(),
  version: z.int(),
  /** It was so before: nothing was written. */
  already: z.literal(true).optional(),
});

export const deadLetterNotes = z.object({ notes: z.array(deadLetterNote) });

const expectedVersion = z.int().min(1).optional();

export const noteBody = z.strictObject({ text: z.string().trim().min(1).max(5_000) });

export const assigneeBody = z.strictObject({
  /** `me`, a name, or null for nobody. */
  assignee: z.string().trim().min(1).max(100).nullable(),
  expected_version: expectedVersion,
});

export const ticketBody = z.strictObject({
  url: z
    .url({ protocol: /^https$/, error: 'must be an https address' })
    .max(500)
    .refine((text) => !URL.canParse(text) || new URL(text).username === '', 'must not hold a password')
    .nullable(),
  expected_version: expectedVersion,
});

export const snoozeBody = z
  .strictObject({
    until: z.iso.datetime({ offset: true }).optional(),
    more_than: z.int().min(1).max(1_000_000).optional(),
    reason: z.string().trim().min(5).max(500),
    expected_version: expectedVersion,
  })
  .refine(({ until, more_than }) => until !== undefined || more_than !== undefined, 'needs until or more_than');

export const wakeBody = z.strictObject({ expected_version: expectedVersion });

export const fixedInBody = z.strictObject({
  version: z.string().trim().min(1).max(100),
  reason: z.string().trim().min(5).max(500),
  expected_version: expectedVersion,
});

export const reclassifyBody = z.strictObject({ to: z.int().min(1), dry_run: z.boolean() });

/** What a reclassification would do, or is doing. */
export const reclassification = z.object({
  to: z.int(),
  dry_run: z.boolean(),
  /** Letters that would change their group. */
  letters: z.int(),
  groups: z.int(),
  /** Groups whose letters go to several. */
  splits: z.int(),
  /** Groups that receive the letters of several. */
  merges: z.int(),
});
