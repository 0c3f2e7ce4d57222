import type { Logger } from '../logging/index.ts';
import { repeating, type Runnable } from '../loops/index.ts';
import type { Metrics } from '../metrics/index.ts';
import type { Failpoint } from '../failpoints/index.ts';
import type { Database } from '../postgres/index.ts';
import { refuseEviction } from '../redis/index.ts';
import type { Redis } from 'ioredis';
import type { RedisQueues } from './bullmq.ts';
import type { DeathWriter } from './death.ts';
import { type DispatchResult, dispatchOnce, mostRefusals } from './dispatch.ts';
import { describeFailure } from './failure.ts';
import { bindInstruments, type QueueInstruments } from './instruments.ts';
import type { QueueRegistry } from './registry.ts';

export interface DispatcherDeps {
  readonly db: Database;
  readonly redis: Redis;
  readonly queues: RedisQueues;
  readonly registry: QueueRegistry;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly failpoint: Failpoint;
  readonly deaths: DeathWriter;
  /** Pause between two looks at the outbox while nothing wakes the loop, in ms. */
  readonly pollMs: number;
  /** A queue with so many waiting jobs gets no more. Default 10,000. */
  readonly mostWaiting?: number | undefined;
}

/** The loop that hands committed jobs to Redis. Any number of processes may run one. */
export function openDispatcher(deps: DispatcherDeps): Runnable {
  const { db, log, metrics, registry } = deps;
  const instruments = new Map<string, QueueInstruments>(
    registry.names.map((name) => [name, bindInstruments(metrics, name)]),
  );
  const dispatch = dispatchInTurns(() =>
    dispatchOnce({
      db,
      redis: deps.queues,
      failpoint: deps.failpoint,
      mostWaiting: deps.mostWaiting,
      onDispatched: (queue, count) => instruments.get(queue)?.enqueued(count),
      onRefused: (runKey, queue, error, refusals) => bury(deps, { runKey, queue, error, refusals }),
    }),
  );
  const loop = repeating({
    name: 'dispatcher',
    everyMs: deps.pollMs,
    pauseAfterErrorMs: 500,
    onError: (error) => log.error('dispatch_failed', error),
    async runOnce() {
      const { dispatched, refused, more } = await dispatch();
      if (dispatched > 0) log.debug('jobs_dispatched', { dispatched });
      // A refused row is offered again after a pause, not at once.
      return { more: more && refused === 0 };
    },
  });
  let unsubscribe = () => {};
  return {
    name: 'dispatcher',
    async start() {
      await refuseEviction(deps.redis).catch((error: unknown) => {
        // An absent Redis is a reason to wait; one that throws jobs away is a reason not to start.
        if (error instanceof Error && error.message.includes('maxmemory-policy')) throw error;
      });
      unsubscribe = db.onWake('jobs', loop.wake.bind(loop));
      await loop.start();
    },
    async stop() {
      unsubscribe();
      await loop.stop();
    },
  };
}

/**
 * While more waits than one call takes, two are under way: Postgres reads and marks for one what Redis takes of the other. Each is a
 * transaction of its own, so that what one handed over stays so when the other throws; the next is alone again then.
 */
export function dispatchInTurns(once: () => Promise<DispatchResult>): () => Promise<DispatchResult> {
  let calls = 1;
  return async () => {
    const settled = await Promise.allSettled(Array.from({ length: calls }, once));
    calls = 1;
    const results = settled.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
    const more = results.some((one) => one.more);
    if (more) calls = 2;
    const sum = (of: 'dispatched' | 'refused') => results.reduce((total, one) => total + one[of], 0);
    return { dispatched: sum('dispatched'), refused: sum('refused'), more };
  };
}

interface RefusedRow {
  readonly runKey: string;
  readonly queue: string;
  readonly error: Error;
  readonly refusals: number;
}

/** A row that Redis refuses alone again and again dies as `invalid`, so that it blocks nobody. */
async function bury({ log, deaths }: DispatcherDeps, row: RefusedRow): Promise<void> {
  log.warn('dispatch_failed', { queue: row.queue, job_id: row.runKey, refusals: row.refusals });
  if (row.refusals < mostRefusals) return;
  const failure = { ...describeFailure(row.error), class: 'permanent' as const };
  try {
    await deaths.bury({ runKey: row.runKey, queue: row.queue, cause: 'invalid', failure });
  } catch (error) {
    log.error('dispatch_failed', error, { queue: row.queue, job_id: row.runKey });
  }
}
