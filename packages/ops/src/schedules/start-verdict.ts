import type { ScheduleDefinition } from './definition.ts';
import type { RunRow } from './run-rows.ts';

/** What the job of a run does with it: starts it, waits for another run, or leaves it because it is decided. */
export type StartVerdict = 'start' | 'wait' | 'switched_off' | 'leave';

export interface StartQuestion {
  readonly run: RunRow | undefined;
  /** Root key of the job that asks: only the newest job of a run may start it. */
  readonly rootKey: string;
  readonly definition: Pick<ScheduleDefinition, 'catchUp' | 'overlap' | 'enabled'>;
  readonly otherStarted: boolean;
  /** A later fire time has come: this one is not the last. */
  readonly newerDue: boolean;
}

/** Decides whether a run starts. A job that comes after its run was counted as missed is a catch-up, and follows that policy. */
export function startVerdict({ run, rootKey, definition, otherStarted, newerDue }: StartQuestion): StartVerdict {
  if (run?.run_key !== rootKey || run.state === 'done' || run.state === 'skipped') return 'leave';
  if (run.state === 'missed' && !startsLate(run, definition, newerDue)) return 'leave';
  if (!definition.enabled) return 'switched_off';
  return otherStarted && !definition.overlap ? 'wait' : 'start';
}

function startsLate(
  { origin, reason }: RunRow,
  { catchUp }: Pick<ScheduleDefinition, 'catchUp'>,
  newerDue: boolean,
): boolean {
  if (reason === 'switched_off') return false;
  // A person asked for it, or the policy did.
  if (origin !== 'schedule') return true;
  return catchUp === 'all' || (catchUp === 'last' && !newerDue);
}
