/** One error code: the HTTP status it is answered with, and what it means to a caller. */
export interface ErrorCode {
  readonly status: number;
  readonly meaning: string;
}

export type ErrorCodes = Readonly<Record<string, ErrorCode>>;

/** Every error code the library answers with. Hosts add their own with {@link refusals}. */
export const opsErrors = {
  validation_failed: { status: 400, meaning: 'The request does not fit its schema; `details` names each fault.' },
  bad_id: { status: 400, meaning: 'An id in the path is not of its form.' },
  filter_invalid: {
    status: 400,
    meaning: 'The filter cannot be read; `details` says where, and what may have been meant.',
  },
  filter_too_slow: { status: 400, meaning: 'The filter took longer than its limit; `details` has a hint.' },
  filter_too_wide: {
    status: 400,
    meaning: 'A bulk action needs a filter that names a queue, stream, fingerprint or id.',
  },
  cursor_invalid: { status: 400, meaning: 'The cursor was changed, or belongs to another list.' },
  page_too_deep: { status: 400, meaning: 'Pages end at 10,000 rows; go on with the cursor.' },
  reason_required: { status: 400, meaning: 'This action needs a reason of 5 to 500 characters.' },
  idempotency_key_required: { status: 400, meaning: 'This write needs an `Idempotency-Key` header.' },
  no_session: { status: 401, meaning: 'No session or token was sent.' },
  session_expired: { status: 401, meaning: 'The session has ended; sign in again.' },
  token_invalid: { status: 401, meaning: 'The token is unknown, revoked or malformed; 400 for that of a mailed link.' },
  missing_permission: { status: 403, meaning: 'The actor lacks the permission that `details` names.' },
  mfa_required: { status: 403, meaning: 'The session has not passed its second factor.' },
  mfa_stale: { status: 403, meaning: 'The second factor is older than 15 minutes.' },
  self_approval: { status: 403, meaning: 'Who plans a redrive cannot approve it; another person must.' },
  origin_refused: { status: 403, meaning: 'A browser write from another origin.' },
  not_found: { status: 404, meaning: 'There is no such thing, or it is not visible to the actor.' },
  removed_by_retention: {
    status: 404,
    meaning: 'It was closed, and retention has removed it; `details` says who acted last, and when retention ran.',
  },
  request_timeout: { status: 408, meaning: 'The request did not arrive whole in time.' },
  in_progress: { status: 409, meaning: 'The same work is under way.' },
  version_changed: {
    status: 409,
    meaning: 'The object changed since it was read; `details` holds its present version.',
  },
  already_retrying: { status: 409, meaning: 'A retry of this dead letter is under way; `details` says whose.' },
  already_resolved: { status: 409, meaning: 'The dead letter is closed; `details` says by whom. Restore it first.' },
  not_resolved: { status: 409, meaning: 'Only a closed dead letter can be restored.' },
  done_by_run: { status: 409, meaning: 'A retry did the work of this dead letter: there is nothing to restore.' },
  plan_expired: { status: 409, meaning: 'A plan may be started for 30 minutes; plan again.' },
  plan_changed: { status: 409, meaning: 'The hash or the count is not that of the plan; `details` holds both.' },
  plan_drifted: {
    status: 409,
    meaning:
      'Over a tenth of the items changed since they were planned; `details` says by whom. `accept_drift` skips those.',
  },
  already_started: { status: 409, meaning: 'The redrive was started before; `details` says by whom.' },
  redrive_not_running: {
    status: 409,
    meaning: 'The redrive is in a state that does not allow this; `details` names it.',
  },
  redrive_done: { status: 409, meaning: 'The redrive has ended.' },
  not_stopped: {
    status: 409,
    meaning: 'Only a redrive that a rule stopped can be continued; `details` names its state.',
  },
  job_not_delayed: {
    status: 409,
    meaning: 'Only a job that waits for its time can be promoted; `details` has its state.',
  },
  job_active: { status: 409, meaning: 'The job is under way; it cannot be removed until its attempt has ended.' },
  job_ended: { status: 409, meaning: 'The job has its verdict already; `details` names it.' },
  run_open: { status: 409, meaning: 'A run of this schedule is open, and two must not overlap; `details` names it.' },
  schedule_off: { status: 409, meaning: 'The schedule cannot run: `details` says why.' },
  name_taken: { status: 409, meaning: 'The actor has another thing of this name.' },
  too_large: { status: 413, meaning: 'The body is larger than the limit in `details`.' },
  media_type: { status: 415, meaning: 'The body must be `application/json`.' },
  headers_too_large: { status: 431, meaning: 'The headers are larger than 16 KiB together.' },
  idempotency_key_reused: { status: 422, meaning: 'The `Idempotency-Key` was used with another body.' },
  patch_failed: { status: 422, meaning: 'The JSON Patch does not apply; `details` says why.' },
  path_locked: { status: 422, meaning: 'The kind of job locks the path in `details` against edits.' },
  payload_invalid: {
    status: 422,
    meaning: 'The payload does not fit the schema of its kind; `details` names each fault.',
  },
  target_refuses_kind: {
    status: 422,
    meaning: 'The queue is unknown or does not accept this kind; `details` names those that do.',
  },
  approval_needed: { status: 422, meaning: 'The action needs the further consent that `details` names.' },
  rate_limited: { status: 429, meaning: 'Too many requests; `Retry-After` says when to try again.' },
  internal: { status: 500, meaning: 'A fault of ours; quote the correlation id.' },
  database_unavailable: { status: 503, meaning: 'Postgres cannot be reached; nothing was changed.' },
} as const satisfies ErrorCodes;

/** The fixed sentence of each status: programs read `code`, people read this. */
export const statusTexts: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Authentication required',
  403: 'Insufficient permissions',
  404: 'Not found',
  408: 'Request timeout',
  409: 'Conflict',
  410: 'Gone',
  413: 'Payload too large',
  415: 'Unsupported media type',
  422: 'Unprocessable',
  429: 'Too many requests',
  431: 'Headers too large',
  500: 'Internal error',
  503: 'Service unavailable',
};
