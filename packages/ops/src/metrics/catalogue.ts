import { causeNames } from '../causes/index.ts';
import { defineMetrics, jobBuckets } from './definition.ts';

const worker = 'worker wrapper, each attempt';
const collector = 'shared collector';
const everyScrape = 'every role, on scrape';
const statusCodes =
  '200 201 202 204 302 303 304 400 401 403 404 405 406 409 410 413 415 422 428 429 499 500 502 503 504'.split(' ');

/** The library's own metrics under `prefix` (default `fmhl_`). */
export function opsCatalogue(prefix = 'fmhl_') {
  return {
    ...httpMetrics(prefix),
    ...jobMetrics(prefix),
    ...queueMetrics(prefix),
    ...letterMetrics(prefix),
    ...auditMetrics(prefix),
    ...scheduleMetrics(prefix),
    ...processMetrics(prefix),
  };
}

export type OpsCatalogue = ReturnType<typeof opsCatalogue>;

function httpMetrics(prefix: string) {
  return defineMetrics(prefix, {
    http_request_duration_ms: {
      type: 'histogram',
      help: 'Time from request to end of response; status 499 when the client left first',
      labels: {
        method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
        route: 'open',
        // Closed, so that beyond the limit of label sets a 500 of one more route still counts as a 500.
        status: statusCodes,
      },
      unit: 'ms',
      aggregation: 'F',
      reporter: 'api, on response end or abort',
    },
  });
}

function jobMetrics(prefix: string) {
  const labels = { queue: 'queues' } as const;
  const counter = (help: string, unit: string, reporter: string) =>
    ({ type: 'counter', help, labels, unit, aggregation: 'F', reporter }) as const;
  const histogram = (help: string) =>
    ({ type: 'histogram', help, labels, unit: 'ms', aggregation: 'F', reporter: worker, buckets: jobBuckets }) as const;
  return defineMetrics(prefix, {
    jobs_enqueued_total: counter('Jobs handed over to the queue, once per job', 'jobs', 'hand-over, from rows marked'),
    jobs_completed_total: counter('Successful attempts', 'attempts', worker),
    jobs_failed_total: counter('Failed attempts', 'attempts', worker),
    jobs_retried_total: counter('Failed attempts that will be tried again', 'attempts', worker),
    jobs_stalled_total: counter('Jobs whose worker died or lost its lock in the middle', 'jobs', 'worker'),
    jobs_dead_lettered_total: {
      type: 'counter',
      help: 'Jobs that will not be tried again, by cause of death',
      labels: { queue: 'queues', reason: causeNames },
      unit: 'jobs',
      aggregation: 'F',
      reporter: 'the process that recorded the death',
    },
    dlq_retried_total: {
      type: 'counter',
      help: 'Ended retries of dead letters',
      labels: { queue: 'queues', mode: ['retry', 'redrive'], result: ['succeeded', 'failed'] },
      unit: 'retries',
      aggregation: 'F',
      reporter: worker,
    },
    job_duration_ms: histogram('Run time of an attempt'),
    job_wait_ms: histogram('Time from due to start of an attempt'),
    redrive_items_total: {
      type: 'counter',
      help: 'Items of redrives that were sent, or skipped because their letter had changed',
      labels: { outcome: ['sent', 'skipped'] },
      unit: 'items',
      aggregation: 'F',
      reporter: 'scheduler, redrive engine',
    },
    reconciler_repairs_total: {
      type: 'counter',
      help: 'Jobs on which Postgres and Redis disagreed beyond the grace period and which were repaired',
      labels: { kind: 'open' },
      unit: 'jobs',
      aggregation: 'F',
      reporter: 'scheduler, reconciler',
    },
  });
}

const stock = (help: string, unit: string) =>
  ({ type: 'gauge', help, labels: { queue: 'queues' }, unit, aggregation: 'S', reporter: collector }) as const;

function letterMetrics(prefix: string) {
  return defineMetrics(prefix, {
    dlq_size: {
      type: 'gauge',
      help: 'Unresolved dead letters',
      labels: { queue: 'open', source: 'open' },
      unit: 'letters',
      aggregation: 'S',
      reporter: `${collector}, Postgres`,
    },
    dlq_oldest_age_seconds: stock('Age of the oldest open dead letter, 0 when there is none', 'seconds'),
    dlq_proof_gap: {
      type: 'gauge',
      help: 'Deaths without a dead letter; anything but 0 for longer than 10 s is a loss',
      labels: { queue: 'open' },
      unit: 'letters',
      aggregation: 'S',
      reporter: `${collector}, Postgres and the failed sets`,
    },
    dlq_capture_errors_total: {
      type: 'counter',
      help: 'Captures that could not keep the whole evidence',
      labels: { queue: 'open' },
      unit: 'letters',
      aggregation: 'S',
      reporter: `${collector}, Postgres`,
    },
    capture_probe_last_success_timestamp_seconds: stock('When a job that died on purpose was last captured', 'seconds'),
    capture_probe_failures_total: {
      type: 'counter',
      help: 'Jobs that died on purpose and were not captured within 30 s',
      labels: { queue: 'queues' },
      unit: 'jobs',
      aggregation: 'F',
      reporter: 'scheduler, probe',
    },
  });
}

function scheduleMetrics(prefix: string) {
  const gauge = (help: string) =>
    ({
      type: 'gauge',
      help,
      labels: { schedule: 'open' },
      unit: 'seconds',
      aggregation: 'S',
      reporter: `${collector}, the expected-run ledger`,
    }) as const;
  return defineMetrics(prefix, {
    schedule_overdue_seconds: gauge(
      'How long the first fire time waits after which no run started, 0 when none is overdue, or when paused or off',
    ),
    schedule_grace_seconds: gauge('Delay after which a run is late'),
    schedule_last_success_timestamp_seconds: gauge(
      'End of the last successful run; before the first, when it was made',
    ),
  });
}

function auditMetrics(prefix: string) {
  return defineMetrics(prefix, {
    audit_rows_linked_total: {
      type: 'counter',
      help: 'Rows of the audit log that got their place in the chain',
      unit: 'rows',
      aggregation: 'F',
      reporter: 'scheduler, linker',
    },
    audit_chain_faults_total: {
      type: 'counter',
      help: 'Looks at the audit chain that found it changed: any is tampering, a restored database or a lost key',
      labels: { kind: ['foreign_head', 'head_changed', 'anchor_differs'] },
      unit: 'looks',
      aggregation: 'F',
      reporter: 'scheduler, linker and anchor',
    },
    audit_anchor_last_success_timestamp_seconds: {
      type: 'gauge',
      help: 'When the place of the anchor last held the head of the audit chain',
      unit: 'seconds',
      aggregation: 'S',
      reporter: 'scheduler, anchor',
    },
    invariant_violations: {
      type: 'gauge',
      help: 'Rows that break an invariant, as the last scheduled look found them; absent where it was not checked within 30 minutes',
      labels: { invariant: 'open' },
      unit: 'rows',
      aggregation: 'S',
      reporter: `${collector}, Postgres`,
    },
    audit_anchor_failures_total: {
      type: 'counter',
      help: 'Attempts to write the head of the audit chain outside the database that failed',
      unit: 'attempts',
      aggregation: 'F',
      reporter: 'scheduler, anchor',
    },
  });
}

function queueMetrics(prefix: string) {
  const instance = (help: string, unit: string) =>
    ({ type: 'gauge', help, labels: { queue: 'queues' }, unit, aggregation: 'I', reporter: 'worker' }) as const;
  return defineMetrics(prefix, {
    queue_depth: stock('Jobs ready and waiting: not active, not delayed, those of a paused queue included', 'jobs'),
    queue_oldest_job_age_seconds: stock('Age of the oldest job ready and waiting', 'seconds'),
    queue_delayed: stock('Jobs not yet due, retries included', 'jobs'),
    queue_paused: stock('1 when the queue is paused', 'boolean'),
    job_outbox_backlog: stock('Jobs committed and not yet handed over', 'jobs'),
    job_outbox_oldest_age_seconds: stock('Age of the oldest job not yet handed over', 'seconds'),
    queue_stats_last_success_timestamp_seconds: {
      type: 'gauge',
      help: 'When this process last read the queues',
      unit: 'seconds',
      aggregation: 'S',
      reporter: collector,
    },
    jobs_active: instance('Attempts running in this process', 'jobs'),
    worker_concurrency: instance('Attempts this process may run at once', 'jobs'),
    worker_last_tick_timestamp_seconds: {
      type: 'gauge',
      help: 'When the fetch loop last turned, idle or not',
      labels: { worker: 'open' },
      unit: 'seconds',
      aggregation: 'I',
      reporter: 'worker',
    },
  });
}

function processMetrics(prefix: string) {
  return { ...healthMetrics(prefix), ...connectionMetrics(prefix), ...selfMetrics(prefix) };
}

function healthMetrics(prefix: string) {
  const check = (help: string, unit: string) =>
    ({ type: 'gauge', help, labels: { check: 'open' }, unit, aggregation: 'I', reporter: everyScrape }) as const;
  return defineMetrics(prefix, {
    health_check_up: check('1 when the dependency answers, degraded included', 'boolean'),
    health_check_latency_ms: check('Time of the last health check', 'ms'),
  });
}

function connectionMetrics(prefix: string) {
  const reporter = `${collector}, INFO`;
  const redis = (help: string, unit: string) => ({ type: 'gauge', help, unit, aggregation: 'S', reporter }) as const;
  return defineMetrics(prefix, {
    pg_pool_connections: {
      type: 'gauge',
      help: 'Connections of the pool; waiting are callers without one',
      labels: { state: ['active', 'idle', 'waiting'] },
      unit: 'connections',
      aggregation: 'I',
      reporter: everyScrape,
    },
    pg_pool_wait_ms: {
      type: 'histogram',
      help: 'Wait for a connection of the pool',
      unit: 'ms',
      aggregation: 'F',
      reporter: 'every role, each query',
    },
    redis_memory_used_bytes: redis('Memory used by Redis', 'bytes'),
    redis_memory_max_bytes: redis('Memory limit of Redis, 0 for none', 'bytes'),
    redis_blocked_clients: redis('Clients in a blocking call', 'clients'),
    redis_evicted_keys_total: {
      type: 'counter',
      help: 'Keys evicted by Redis; any is loss of jobs',
      unit: 'keys',
      aggregation: 'S',
      reporter,
    },
  });
}

function selfMetrics(prefix: string) {
  return defineMetrics(prefix, {
    metrics_collect_errors_total: {
      type: 'counter',
      help: 'Collector runs that failed or timed out',
      labels: { collector: 'open' },
      unit: 'runs',
      aggregation: 'F',
      reporter: 'the process scraped',
    },
    logs_suppressed_total: {
      type: 'counter',
      help: 'Log lines not written, or damaged',
      labels: { reason: ['sampled', 'identical_error', 'serialize', 'destination'] },
      unit: 'lines',
      aggregation: 'F',
      reporter: 'logger',
    },
    build_info: {
      type: 'gauge',
      help: 'Always 1; the labels say what runs',
      labels: { version: 'open', commit: 'open' },
      unit: 'boolean',
      aggregation: 'I',
      reporter: 'every role, at start',
    },
  });
}
