import type { CatchUp } from './definition.ts';
import { missedAfter } from './intervals.ts';

/** What becomes of a fire time that has come: it is run, now or as a catch-up, or the ledger says why not. */
export type Tick =
  | { readonly fireAt: Date; readonly nextAt: Date; readonly runs: 'schedule' | 'catch_up' }
  | {
      readonly fireAt: Date;
      readonly nextAt: Date;
      readonly runs?: undefined;
      readonly state: 'missed';
      readonly reason: 'outage';
    }
  | {
      readonly fireAt: Date;
      readonly nextAt: Date;
      readonly runs?: undefined;
      readonly state: 'skipped';
      readonly reason: 'overlap' | 'paused';
    };

export interface TickPlan {
  /** Fire times that have come and are not recorded, in order. */
  readonly due: readonly Date[];
  /** The fire time after the last of them. */
  readonly next: Date;
  readonly now: Date;
  readonly catchUp: CatchUp;
  /** Most of them that `all` runs, the newest. */
  readonly catchUpLimit: number;
  /** A run is under way or waits to start, and two must not overlap. */
  readonly isHeldUp: boolean;
  readonly pause: { readonly from: Date; readonly until: Date | null } | undefined;
  /** More fire times have come after these: none of them is the last one. */
  readonly more: boolean;
}

/** Decides what becomes of each fire time. Only the last one can be on time: each before it was due a whole interval ago. */
export function planTicks(plan: TickPlan): Tick[] {
  const { due, next, catchUp, catchUpLimit, more } = plan;
  const oldestToRun = catchUp === 'all' && !more ? due.length - catchUpLimit : Infinity;
  return due.map((fireAt, nth) => {
    const nextAt = due[nth + 1] ?? next;
    if (isPaused(plan, fireAt)) return { fireAt, nextAt, state: 'skipped', reason: 'paused' };
    const runs = nth === due.length - 1 && !more ? lastRuns(plan, fireAt) : nth >= oldestToRun && 'catch_up';
    if (!runs) return { fireAt, nextAt, state: 'missed', reason: 'outage' };
    return plan.isHeldUp ? { fireAt, nextAt, state: 'skipped', reason: 'overlap' } : { fireAt, nextAt, runs };
  });
}

function lastRuns({ next, now, catchUp }: TickPlan, fireAt: Date): 'schedule' | 'catch_up' | false {
  const isInTime = now.getTime() - fireAt.getTime() <= missedAfter(next.getTime() - fireAt.getTime());
  if (isInTime) return 'schedule';
  return catchUp !== 'none' && 'catch_up';
}

function isPaused({ pause }: TickPlan, at: Date): boolean {
  return pause !== undefined && at >= pause.from && (pause.until === null || at <= pause.until);
}
