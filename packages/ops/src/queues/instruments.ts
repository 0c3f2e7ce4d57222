import type { Metrics } from '../metrics/index.ts';

/** The instruments of one queue in one process, bound once. */
export interface QueueInstruments {
  /** An attempt starts; `dueAt` is when the job could have started, in ms since the epoch. */
  started(dueAt: number): void;
  ended(durationMs: number): void;
  completed(): void;
  failed(): void;
  retried(): void;
  snoozed(): void;
  stalled(): void;
  enqueued(count: number): void;
  concurrency(value: number): void;
  /** The retry of a dead letter ended. */
  retriedLetter(mode: 'retry' | 'redrive', result: 'succeeded' | 'failed'): void;
}

export function bindInstruments(metrics: Metrics, queue: string): QueueInstruments {
  const labels = { queue };
  const active = metrics.gauge('jobs_active').labels(labels);
  const wait = metrics.histogram('job_wait_ms').labels(labels);
  const duration = metrics.histogram('job_duration_ms').labels(labels);
  const completed = metrics.counter('jobs_completed_total').labels(labels);
  const failed = metrics.counter('jobs_failed_total').labels(labels);
  const retried = metrics.counter('jobs_retried_total').labels(labels);
  const stalled = metrics.counter('jobs_stalled_total').labels(labels);
  const enqueued = metrics.counter('jobs_enqueued_total').labels(labels);
  const letters = metrics.counter('dlq_retried_total');
  const concurrency = metrics.gauge('worker_concurrency').labels(labels);
  return {
    started(dueAt) {
      active.inc();
      wait.observe(Math.max(0, Date.now() - dueAt));
    },
    ended(durationMs) {
      active.dec();
      duration.observe(durationMs);
    },
    completed: () => completed.inc(),
    failed: () => failed.inc(),
    retried: () => retried.inc(),
    snoozed: () => {},
    stalled: () => stalled.inc(),
    enqueued: (count) => enqueued.inc(count),
    concurrency: (value) => concurrency.set(value),
    retriedLetter: (mode, result) => letters.labels({ queue, mode, result }).inc(),
  };
}
