import type { Lease } from '../leases/index.ts';
import { repeating, type Runnable, together } from '../loops/index.ts';
import type { Metrics } from '../metrics/index.ts';
import type { RedisQueues } from '../queues/index.ts';
import { admitNext, type AdvanceDeps } from './advance.ts';
import { openStrides, type Strides } from './ahead.ts';
import type { RedriveState } from './contract.ts';
import { type GovernorLimits, governorLimits } from './governor.ts';
import type { RedriveHost } from './plan.ts';
import { expirePlans, planNext, type PlannerDeps } from './planner.ts';
import { countProgress, readActive } from './queries.ts';
import { unwind } from './unwind.ts';

export interface RedriveEngineOptions extends PlannerDeps, Pick<AdvanceDeps, 'failpoint'> {
  readonly queues: Pick<RedisQueues, 'remove'>;
  readonly lease: Lease;
  readonly metrics: Metrics;
  /** Pause between two looks at what is to be sent, in ms. Default 250. */
  readonly everyMs?: number;
  /** Most items of one transaction. Default 1,000. */
  readonly batch?: number;
  /** Least time that a canary has for its outcomes, in ms. Default 60,000. */
  readonly canaryWithinMs?: number;
  /** What the governor holds to. Defaults: {@link governorLimits}. */
  readonly limits?: Partial<GovernorLimits>;
}

/** What a host may say of redrives and of the engine. */
export type RedriveSettings = RedriveHost &
  Pick<RedriveEngineOptions, 'everyMs' | 'batch' | 'canaryWithinMs' | 'limits'>;

/**
 * Plans, sends, watches and ends redrives. One process works at a time, by lease; two, or an old one that wakes up, only take turns.
 * Everything it knows is in Postgres: another goes on where it was stopped.
 */
export function openRedriveEngine(options: RedriveEngineOptions): Runnable {
  const { db, log, lease, everyMs = 250 } = options;
  const deps: AdvanceDeps & RedriveEngineOptions = {
    ...options,
    batch: options.batch ?? 1_000,
    canaryWithinMs: options.canaryWithinMs ?? 60_000,
    limits: { ...governorLimits, ...options.limits },
  };
  const counts = openProgressCounts(deps);
  const strides = openStrides(deps);
  const loop = (name: string, pauseMs: number, runOnce: (signal: AbortSignal) => Promise<{ more: boolean }>) =>
    repeating({
      name,
      everyMs: pauseMs,
      onError: (error) => log.error('loop_failed', error, { loop: name }),
      runOnce: async (signal) => ((await lease.hold()) ? runOnce(signal) : { more: false }),
    });
  const engine = together('redrives', [
    loop('redrive-engine', everyMs, (signal) => driveOnce({ deps, counts, strides }, signal)),
    loop('redrive-planner', everyMs, () => planNext(deps)),
    loop('redrive-expiry', 60_000, () => expirePlans(db)),
  ]);
  return {
    ...engine,
    async stop() {
      await engine.stop();
      await strides.settle();
      await lease
        .resign()
        .catch((error: unknown) => log.warn('lease_lost', { lease: 'redrives', error: String(error) }));
    },
  };
}

interface Driving {
  readonly deps: AdvanceDeps & RedriveEngineOptions;
  readonly counts: ProgressCounts;
  readonly strides: Strides;
}

/** One step of each redrive that has something to do. One that fails does not hold up the others. */
async function driveOnce({ deps, counts, strides }: Driving, signal: AbortSignal): Promise<{ more: boolean }> {
  let more = false;
  const active = await readActive(deps.db);
  for (const { id, state } of active) {
    if (signal.aborted) break;
    try {
      more = (await stepOf(deps, strides, id, state)).more || more;
      await counts.count(id);
    } catch (error) {
      deps.log.error('redrive_step_failed', error, { redrive_id: id });
    }
  }
  for (const kept of [counts, strides]) kept.keep(active.map(({ id }) => id));
  return { more };
}

async function stepOf(
  deps: AdvanceDeps & RedriveEngineOptions,
  strides: Strides,
  id: string,
  state: RedriveState,
): Promise<{ more: boolean }> {
  if (state === 'waiting') return admitNext(deps.db, id);
  if (state === 'aborting') return unwind(deps, id);
  if (state === 'canary' || state === 'running') return strides.advance(id);
  return { more: false };
}

interface ProgressCounts {
  count(id: string): Promise<void>;
  /** Forgets all but these. */
  keep(ids: readonly string[]): void;
}

const countEveryMs = 1_000;
/** A count of a large redrive takes its time; it may cost a twentieth of it. */
const countCost = 20;

/** Keeps the counts of running redrives fresh: once a second, and less often where that would cost too much. */
function openProgressCounts({ db }: AdvanceDeps): ProgressCounts {
  const dueAt = new Map<string, number>();
  return {
    async count(id) {
      const startedAt = performance.now();
      if (startedAt < (dueAt.get(id) ?? 0)) return;
      await countProgress(db, id);
      const took = performance.now() - startedAt;
      dueAt.set(id, startedAt + Math.max(countEveryMs, took * countCost));
    },
    keep(ids) {
      for (const id of dueAt.keys()) if (!ids.includes(id)) dueAt.delete(id);
    },
  };
}
