import type { Failpoint } from '../failpoints/index.ts';
import type { Lease } from '../leases/index.ts';
import type { Logger } from '../logging/index.ts';
import { repeating, type Runnable } from '../loops/index.ts';
import type { Metrics } from '../metrics/index.ts';
import type { Database } from '../postgres/index.ts';
import type { RedisQueues } from './bullmq.ts';
import type { DeathWriter } from './death.ts';
import type { Failure } from './failure.ts';
import { reconcileOnce } from './reconcile.ts';
import type { QueueRegistry } from './registry.ts';

export interface ReconcilerDeps {
  readonly db: Database;
  readonly queues: RedisQueues;
  readonly registry: QueueRegistry;
  readonly lease: Lease;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly failpoint: Failpoint;
  readonly deaths: DeathWriter;
  readonly graceMs: number;
  readonly everyMs: number;
}

/** The loop that returns to the dispatcher what Redis lost. One process works at a time; two would only repeat each other. */
export function openReconciler(deps: ReconcilerDeps): Runnable {
  const { lease, log, metrics } = deps;
  const repaired = metrics.counter('reconciler_repairs_total').labels({ kind: 'job_redispatched' });
  const loop = repeating({
    name: 'reconciler',
    everyMs: deps.everyMs,
    onError: (error) => log.error('loop_failed', error, { loop: 'reconciler' }),
    async runOnce(signal) {
      if (!(await lease.hold())) return { more: false };
      const result = await reconcileOnce(
        {
          ...deps,
          redis: deps.queues,
          onLost: async (runKey, queue) =>
            void (await deps.deaths.bury({ runKey, queue, cause: 'lost', failure: lost })),
        },
        signal,
      );
      if (result.returned > 0) {
        repaired.inc(result.returned);
        log.warn('queue_redispatched', { ...result });
      }
      return { more: result.returned > 0 };
    },
  });
  return {
    name: 'reconciler',
    start: () => loop.start(),
    async stop() {
      await loop.stop();
      await lease
        .resign()
        .catch((error: unknown) => log.warn('lease_lost', { lease: 'reconciler', error: String(error) }));
    },
  };
}

const lost: Failure = {
  class: 'permanent',
  type: 'Lost',
  message: 'handed over five times, never begun',
  stack: '',
  code: null,
};

export interface RetentionDeps {
  readonly lease: Lease;
  readonly log: Logger;
  /** Removes what is due. Answers how many rows went, by table. */
  readonly retain: (signal: AbortSignal) => Promise<Readonly<Record<string, number>>>;
}

/** The loop that removes rows of ended work after their time. */
export function openRetention({ retain, lease, log }: RetentionDeps): Runnable {
  return repeating({
    name: 'retention',
    everyMs: 60_000,
    onError: (error) => log.error('loop_failed', error, { loop: 'retention' }),
    async runOnce(signal) {
      if (!(await lease.hold())) return { more: false };
      const deleted = await retain(signal);
      if (Object.values(deleted).some((rows) => rows > 0)) log.info('retention_ran', deleted);
      return { more: false };
    },
  });
}
