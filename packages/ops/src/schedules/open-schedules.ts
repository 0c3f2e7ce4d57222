import type { Failpoint } from '../failpoints/index.ts';
import type { Lease } from '../leases/index.ts';
import type { Logger } from '../logging/index.ts';
import type { Runnable } from '../loops/index.ts';
import type { Metrics } from '../metrics/index.ts';
import type { Database } from '../postgres/index.ts';
import type { DeathHooks, JobHandler, QueueRegistry } from '../queues/index.ts';
import type { ScheduleDefinition } from './definition.ts';
import { failRuns } from './fail-runs.ts';
import { schedulerQueue } from './queue.ts';
import { openScheduleHandler } from './run-schedule.ts';
import { openScheduler } from './scheduler.ts';
import { watchSchedules } from './watch.ts';

export interface ScheduleParts {
  readonly db: Database;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly registry: QueueRegistry;
  readonly schedules: readonly ScheduleDefinition[];
  readonly failpoint: Failpoint;
  /** Pause between two looks at the clock, in ms. */
  readonly everyMs: number;
}

/** What the schedules of a host bring to the parts of its plane. */
export interface Schedules {
  readonly definitions: readonly ScheduleDefinition[];
  /** Runs their jobs, by queue. */
  readonly handlers: Readonly<Record<string, JobHandler<never>>>;
  /** Ends the runs whose jobs died, in the transaction of the verdicts. */
  readonly deathHooks: DeathHooks;
  /** Records their fire times, one process at a time. */
  scheduler(lease: Lease): Runnable;
}

/** Throws a TypeError where two schedules have one name, or where no queue takes their runs. */
export function openSchedules(parts: ScheduleParts): Schedules {
  const { log, registry, schedules, everyMs } = parts;
  const names = schedules.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new TypeError(`two schedules are called "${twice}"`);
  const hasAny = schedules.length > 0;
  if (hasAny && !('run_schedule' in (registry.get(schedulerQueue.name)?.kinds ?? {})))
    throw new TypeError('schedules run as jobs: list schedulerQueue among the queues');
  watchSchedules(parts);
  return {
    definitions: schedules,
    handlers: hasAny ? { [schedulerQueue.name]: openScheduleHandler(parts) } : {},
    deathHooks: hasAny ? { [schedulerQueue.name]: (tx, deaths) => failRuns(tx, deaths, { log }) } : {},
    scheduler: (lease) => openScheduler({ ...parts, lease, everyMs }),
  };
}
