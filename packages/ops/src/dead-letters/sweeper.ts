import type { Lease } from '../leases/index.ts';
import type { Logger } from '../logging/index.ts';
import { type Loop, repeating, type Runnable } from '../loops/index.ts';
import type { Metrics } from '../metrics/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
import { foldChanges } from './fold.ts';
import { type SweepDeps, type SweepResult, sweepQueue } from './sweep.ts';

export interface SweeperDeps extends Omit<SweepDeps, 'onForeign'> {
  readonly registry: QueueRegistry;
  readonly lease: Lease;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Pause between two passes, in ms. */
  readonly everyMs: number;
}

/** Sweeps every queue once. For the loop, and for an operator who does not want to wait for it. */
export async function sweepAll(
  deps: Omit<SweeperDeps, 'lease' | 'everyMs'>,
  signal: AbortSignal,
): Promise<SweepResult> {
  const { log, metrics, registry } = deps;
  const dead = metrics.counter('jobs_dead_lettered_total');
  let sum: SweepResult = { captured: 0, removed: 0, left: 0 };
  for (const queue of registry.names) {
    const onForeign: SweepDeps['onForeign'] = (name, cause) => {
      dead.labels({ queue: name, reason: cause }).inc();
      log.error('job_dead_lettered', new Error('a job that Postgres does not know'), { queue: name, cause });
    };
    const { captured, removed, left } = await sweepQueue({ ...deps, onForeign }, queue, signal);
    sum = { captured: sum.captured + captured, removed: sum.removed + removed, left: sum.left + left };
  }
  if (sum.captured > 0) log.warn('dead_letters_swept', { ...sum });
  return sum;
}

/** The loop of the sweeper, on a lease: two would only repeat each other. */
export function openSweeper(deps: SweeperDeps): Runnable {
  return repeating({
    name: 'dead-letter-sweeper',
    everyMs: deps.everyMs,
    onError: (error) => deps.log.error('loop_failed', error, { loop: 'dead-letter-sweeper' }),
    async runOnce(signal) {
      if (await deps.lease.hold()) await sweepAll(deps, signal);
      return { more: false };
    },
  });
}

/** How often differences are folded into the sums, in ms. */
const foldEveryMs = 1_000;

/** The loop that keeps the rows of differences few. Any number may run. */
export function openFold({ db, log }: Pick<SweeperDeps, 'db' | 'log'>): Loop {
  return repeating({
    name: 'dead-letter-fold',
    everyMs: foldEveryMs,
    onError: (error) => log.error('loop_failed', error, { loop: 'dead-letter-fold' }),
    runOnce: () => foldChanges(db),
  });
}
