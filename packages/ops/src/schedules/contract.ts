import { z } from 'zod';

const reason = z
  .string()
  .transform((text) => text.trim())
  .pipe(z.string().min(5, 'must have 5 to 500 characters').max(500, 'must have 5 to 500 characters'));

/** Longest pause that ends by itself, in seconds: 30 days. */
const longestPauseS = 30 * 86_400;

/** The body of `POST /schedules/:name/run`. */
export const runScheduleBody = z.strictObject({ reason });

/** The body of `POST /schedules/:name/catch-up`. With `dry_run` nothing changes, and no reason is asked for. */
export const catchUpBody = z
  .strictObject({
    from: z.iso.datetime({ offset: true }),
    to: z.iso.datetime({ offset: true }),
    dry_run: z.boolean().default(false),
    reason: reason.optional(),
  })
  .refine(({ from, to }) => Date.parse(from) <= Date.parse(to), { path: ['to'], message: 'must not be before from' })
  .refine(({ dry_run, reason: why }) => dry_run || why !== undefined, {
    path: ['reason'],
    message: 'must have 5 to 500 characters',
  });

/** The body of `POST /schedules/:name/pause`. Without `for_s` the pause lasts until somebody resumes the schedule. */
export const pauseScheduleBody = z.strictObject({ reason, for_s: z.int().min(1).max(longestPauseS).optional() });

/** The body of `POST /schedules/:name/resume`. */
export const resumeScheduleBody = z.strictObject({ reason: reason.optional() });

export const scheduleRunStates = ['expected', 'started', 'done', 'failed', 'missed', 'skipped'] as const;

/** One row of the ledger: a fire time, or a run by hand. Times are ISO 8601. */
export const scheduleRun = z.object({
  run_id: z.string(),
  schedule: z.string(),
  /** The fire time; of a run by hand, when it was asked for. */
  expected_at: z.iso.datetime(),
  state: z.enum(scheduleRunStates),
  /** Why it was missed (`outage`, `not_started`, `switched_off`) or skipped (`overlap`, `paused`), or the cause of death; else null. */
  reason: z.string().nullable(),
  /** `late`: started later than the grace; `overran`: longer than the limit. */
  marks: z.array(z.enum(['late', 'overran'])),
  origin: z.enum(['schedule', 'manual', 'catch_up']),
  started_at: z.iso.datetime().nullable(),
  ended_at: z.iso.datetime().nullable(),
  duration_ms: z.int().nullable(),
  /** What it did; null before its end. */
  counts: z.record(z.string(), z.int()).nullable(),
  /** Of its job; null while it is not due, and where nothing was to run. */
  job_id: z.string().nullable(),
  dead_letter_id: z.string().nullable(),
  correlation_id: z.string().nullable(),
});

/** Who lets a schedule rest; `until` is null for as long as nobody resumes it. */
export const schedulePause = z.object({
  by: z.string(),
  at: z.iso.datetime(),
  reason: z.string(),
  until: z.iso.datetime().nullable(),
});

/** One schedule of `GET /schedules`. */
export const scheduleView = z.object({
  name: z.string(),
  cron: z.string(),
  tz: z.string(),
  /** The rule in words: `every 5 minutes`. */
  words: z.string(),
  /** False: switched off by configuration. It has no expected runs, and none is missed. */
  enabled: z.boolean(),
  paused: schedulePause.nullable(),
  catch_up: z.enum(['none', 'last', 'all']),
  /** Whether a run may start while another one is under way. */
  overlap: z.boolean(),
  /** A start later than this is late, in seconds. Null where the schedule is not configured any more. */
  grace_s: z.number().nullable(),
  /** A longer run overran, in seconds. */
  limit_s: z.number().nullable(),
  /** The newest run that was started; null before the first. */
  last_run: scheduleRun.nullable(),
  next_run: z.iso.datetime().nullable(),
  last_success_at: z.iso.datetime().nullable(),
  missed_24h: z.int(),
  late_24h: z.int(),
  /** The last 20 that have come, newest first. */
  outcomes: z.array(
    z.object({
      run_id: z.string(),
      expected_at: z.iso.datetime(),
      state: z.enum(scheduleRunStates),
      late: z.boolean(),
    }),
  ),
  /**
   * How ledger and configuration differ: `removed` (not configured any more), `changed` (another rule is stored), `not_recorded` (no
   * scheduler has taken it over), `behind` (the next expected run lies in the past).
   */
  drift: z.array(z.enum(['removed', 'changed', 'not_recorded', 'behind'])),
});

/** The answer of `GET /schedules`. */
export const scheduleList = z.object({ schedules: z.array(scheduleView), as_of: z.iso.datetime() });

/** The answer of `GET /schedules/:name/runs`, newest first. */
export const scheduleRunList = z.object({
  runs: z.array(scheduleRun),
  pagination: z.object({ limit: z.int(), next_cursor: z.string().nullable() }),
});

/** The answer of `POST /schedules/:name/run`. */
export const requestedRun = z.object({ run_id: z.string(), job_id: z.string() });

/** The answer of `POST /schedules/:name/catch-up`: missed ticks, the oldest 100 at most. */
export const caughtUp = z.object({
  dry_run: z.boolean(),
  ticks: z.array(z.object({ run_id: z.string(), expected_at: z.iso.datetime(), job_id: z.string().nullable() })),
  /** More were missed in this time: ask again. */
  more: z.boolean(),
});

/** The answer of a pause or a resume. `already`: it was so before, and nothing was recorded. */
export const controlledSchedule = z.object({
  name: z.string(),
  paused: schedulePause.nullable(),
  already: z.boolean(),
});

export type ScheduleRun = z.infer<typeof scheduleRun>;
export type ScheduleView = z.infer<typeof scheduleView>;
export type SchedulePause = z.infer<typeof schedulePause>;
export type CaughtUp = z.infer<typeof caughtUp>;
export type ControlledSchedule = z.infer<typeof controlledSchedule>;
