import { z } from 'zod';

const whole = (least: number, most: number) => {
  const form = `must be a whole number from ${least} to ${most}`;
  return z
    .string(form)
    .regex(/^\d{1,9}$/, form)
    .transform(Number)
    .refine((value) => value >= least && value <= most, form);
};

const filterText = z.string().max(4_000, 'must have at most 4,000 characters');
const queueName = z
  .string()
  .max(100)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'must be the name of a queue');

const selecting = { q: filterText.optional(), queue: queueName.optional(), stream: queueName.optional() };

/** The query of `GET /queues/dlq`. With `cursor` or without `page` beyond the first, both forms of paging are at hand. */
export const letterListQuery = z.strictObject({
  ...selecting,
  page: whole(1, 999_999_999).optional(),
  limit: whole(1, 200).prefault('50'),
  cursor: z.string().max(1_000).optional(),
  sort: z.enum(['-failed_at', 'failed_at', '-attempts']).default('-failed_at'),
});
export type LetterListQuery = z.infer<typeof letterListQuery>;

export const letterState = z.enum(['pending', 'snoozed', 'retrying', 'resolved', 'discarded']);

/** One row of the list. Payload and stack are not in it. */
export const letterRow = z.object({
  id: z.uuid(),
  /** Of a dead event: its stream's name with `.dlq`. */
  queue_name: z.string(),
  job_id: z.string().nullable(),
  error_message: z.string(),
  /** Failed attempts, those of retries too. */
  attempts: z.int(),
  failed_at: z.iso.datetime(),
  /** Resolved or discarded. */
  resolved: z.boolean(),
  state: letterState,
  source: z.enum(['queue', 'stream']),
  kind: z.string(),
  error_type: z.string(),
  cause: z.string(),
  fingerprint: z.string(),
  /** Retries made. */
  retries: z.int(),
  captured_at: z.iso.datetime(),
  correlation_id: z.string(),
  worker_version: z.string().nullable(),
  assignee: z.string().nullable(),
  /** Null when it is not snoozed; `until` is null when it waits for more deaths. */
  snooze: z.object({ until: z.iso.datetime().nullable() }).nullable(),
  notes_count: z.int(),
  version: z.int(),
});
export type LetterRow = z.infer<typeof letterRow>;

const paging = {
  limit: z.int(),
  next_cursor: z.string().nullable(),
  prev_cursor: z.string().nullable(),
};

const byPage = z.object({
  page: z.int(),
  ...paging,
  /** Exact up to 10,000. */
  total: z.int(),
  total_pages: z.int(),
  /** There are more than `total`. */
  total_is_minimum: z.literal(true).optional(),
});

/** The answer of `GET /queues/dlq`. */
export const letterList = z.object({
  entries: z.array(letterRow),
  pagination: z.union([byPage, z.object(paging)]),
  /** Canonical text of the filter that was used. */
  filter: z.string(),
  /** Of a filter that looks into messages or payloads: how far it looked. */
  search: z.object({ bounded: z.boolean(), oldest_searched: z.iso.datetime().nullable() }).optional(),
  warnings: z
    .array(z.object({ code: z.literal('unknown_queue'), name: z.string(), nearest: z.string().nullable() }))
    .optional(),
});
export type LetterList = z.infer<typeof letterList>;

/** The query of one entry: how much of the payload to show. Showing it in clear on purpose needs a reason. */
export const letterQuery = z.strictObject({
  payload: z.enum(['masked', 'clear']).optional(),
  reason: z.string().max(500).optional(),
});

const time = z.iso.datetime();
const failure = z.object({
  type: z.string(),
  message: z.string(),
  code: z.string().nullable(),
  stack: z.string(),
  causes: z.array(z.object({ type: z.string(), message: z.string() })).optional(),
});

/** One attempt at the work, of the first run or of a retry. Times that are not known are null. */
export const letterAttempt = z.object({
  /** 0 for the first run, then the number of the retry. */
  generation: z.int(),
  attempt: z.int().nullable(),
  started_at: time.nullable(),
  wait_ms: z.number().nullable(),
  duration_ms: z.number().nullable(),
  outcome: z.string(),
  cause: z.string().nullable(),
  error: failure.nullable(),
  worker: z
    .object({
      id: z.string(),
      host: z.string().nullable(),
      pid: z.int().nullable(),
      version: z.string().nullable(),
      commit: z.string().nullable(),
      peak_memory_mb: z.number().nullable(),
    })
    .nullable(),
  job_id: z.string(),
  correlation_id: z.string(),
});
export type LetterAttempt = z.infer<typeof letterAttempt>;
export const letterAttempts = z.object({ attempts: z.array(letterAttempt) });

const run = z.object({
  job_id: z.string(),
  generation: z.int(),
  queue: z.string(),
  outcome: z.enum(['waiting', 'running', 'done', 'dead']),
  cause: z.string().nullable(),
  enqueued_at: time,
  finished_at: time.nullable(),
  /** Who asked for a retry, when it was a person. */
  by: z.string().nullable(),
  reason: z.string().nullable(),
  redrive_id: z.uuid().nullable(),
});

/** Where the letter comes from and what was done with it. */
export const letterLineage = z.object({
  /** Null once it was removed after its time. */
  original: run.nullable(),
  retries: z.array(run),
  redrives: z.array(
    z.object({
      id: z.uuid(),
      name: z.string(),
      action: z.string(),
      state: z.string(),
      outcome: z.string(),
      why: z.string().nullable(),
      at: time.nullable(),
    }),
  ),
  /** Edits of the payload: names of what changed, never the values. */
  patches: z.array(
    z.object({
      version: z.int(),
      sha256: z.string(),
      author: z.string().nullable(),
      reason: z.string().nullable(),
      changed: z.array(z.string()),
      at: time,
    }),
  ),
});

const payloadView = {
  /** Exact text, so that large numbers survive; base64 of what is no text. Null when it was not kept. */
  payload_text: z.string().nullable(),
  payload_encoding: z.enum(['json', 'text', 'base64']).nullable(),
  /** Size as captured. */
  payload_bytes: z.int(),
  /** Of the exact content, masked or not. */
  payload_sha256: z.string().nullable(),
  /** 0 as captured; each edit adds one. */
  payload_version: z.int(),
  /** Paths whose values are replaced by a mask; null when the payload is shown in clear. */
  payload_masked: z.array(z.string()).nullable(),
};

/** The answer of `GET /queues/dlq/:id`. */
export const letterDetail = letterRow.extend({
  /** Null when it is no JSON, or over 64 kB. */
  payload: z.unknown(),
  stack_trace: z.string().nullable(),
  ...payloadView,
  /** There is more than 64 kB: `GET /queues/dlq/:id/payload` has the whole. */
  payload_truncated: z.boolean(),
  error_code: z.string().nullable(),
  cause_text: z.string(),
  first_failed_at: time,
  worker_host: z.string().nullable(),
  causation_id: z.string().nullable(),
  traceparent: z.string().nullable(),
  ticket: z.string().nullable(),
  synthetic: z.boolean(),
  attempts_history: z.array(letterAttempt),
  deploy: z.object({
    version: z.string().nullable(),
    commit: z.string().nullable(),
    /** In which this kind of error was seen first. */
    first_version: z.string().nullable(),
    /** The last first start of a worker with a new version before the death. */
    last: z.object({ version: z.string(), at: time, minutes_before: z.number() }).nullable(),
  }),
  lineage: letterLineage,
  resolution: z
    .object({
      how: z.string(),
      by: z.string().nullable(),
      at: time,
      reason: z.string().nullable(),
      ticket: z.string().nullable(),
    })
    .nullable(),
  resolved_at: time.nullable(),
  resolved_by: z.string().nullable(),
  evidence: z.object({ state: z.enum(['complete', 'partial']), lacks: z.string().nullable() }),
  notes: z.array(z.object({ id: z.uuid(), author: z.string(), text: z.string(), created_at: time })),
});
export type LetterDetail = z.infer<typeof letterDetail>;

/** The answer of `GET /queues/dlq/:id/payload`: the whole, whatever its size. */
export const letterPayload = z.object({ id: z.uuid(), ...payloadView });

export const exportColumns = [
  'id',
  'queue_name',
  'job_id',
  'kind',
  'state',
  'error_type',
  'error_message',
  'attempts',
  'failed_at',
  'resolved',
  'source',
  'cause',
  'fingerprint',
  'retries',
  'first_failed_at',
  'captured_at',
  'correlation_id',
  'worker_version',
  'worker_host',
  'assignee',
  'ticket',
  'resolved_at',
  'stack_trace',
  'payload',
] as const;
export type ExportColumn = (typeof exportColumns)[number];

/** What an export holds unless it is told otherwise. */
export const defaultExportColumns = exportColumns.filter((name) => name !== 'stack_trace' && name !== 'payload');

/** The query of `GET /queues/dlq/export`; `columns` are names joined by commas. */
export const letterExportQuery = z.strictObject({
  ...selecting,
  format: z.enum(['csv', 'ndjson']).default('csv'),
  columns: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(exportColumns)).min(1).max(exportColumns.length))
    .optional(),
});

/** A saved view: a name for a filter. System views have no owner and cannot be removed. */
export const savedView = z.object({
  id: z.string(),
  name: z.string(),
  q: z.string(),
  scope: z.enum(['system', 'mine', 'all']),
  owner: z.string().nullable(),
  created_at: time.nullable(),
});
export const savedViews = z.object({ views: z.array(savedView) });
export const savedViewBody = z.strictObject({
  name: z
    .string()
    .trim()
    .min(1)
    .max(100)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must be printable'),
  q: filterText,
  scope: z.enum(['mine', 'all']).default('mine'),
});
