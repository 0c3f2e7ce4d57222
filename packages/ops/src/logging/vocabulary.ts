/** The closed vocabulary of the library's own log events. A host adds its own union: `Logger<OpsLogEvent | MyEvent>`. */
export const opsLogEvents = [
  'process_started',
  'process_draining',
  'process_exiting',
  'http_request',
  'http_error',
  'access_denied',
  'job_completed',
  'job_attempt_failed',
  'job_dead_lettered',
  'job_snoozed',
  'dead_letters_swept',
  'job_fenced',
  'jobs_dispatched',
  'dispatch_failed',
  'queue_redispatched',
  'reconciler_repaired',
  'worker_started',
  'worker_stopped',
  'worker_error',
  'loop_failed',
  'health_check_changed',
  'metrics_collector_failed',
  'migration_applied',
  'migration_reverted',
  'redis_error',
  'postgres_error',
  'lease_acquired',
  'lease_lost',
  'retention_ran',
  'event_published',
  'event_consumed',
  'event_dead_lettered',
  'dlq_retried',
  'redrive_finished',
  'alert_received',
  'failpoint_hit',
] as const;

export type OpsLogEvent = (typeof opsLogEvents)[number];

/** The two events that may be sampled. Everything else is always written. */
export type SampledLogEvent = 'http_request' | 'job_completed';
