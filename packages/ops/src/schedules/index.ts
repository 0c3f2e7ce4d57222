export { catchUp } from './catch-up.ts';
export { databaseClock } from './clock.ts';
export { compareFireTimes, type Mismatch } from './compare-fire-times.ts';
export {
  catchUpBody,
  caughtUp,
  controlledSchedule,
  pauseScheduleBody,
  requestedRun,
  resumeScheduleBody,
  runScheduleBody,
  scheduleList,
  scheduleRunList,
  scheduleRunStates,
} from './contract.ts';
export {
  type CatchUp,
  type Counts,
  defineSchedule,
  type ScheduleContext,
  type ScheduleDefinition,
  type ScheduleOptions,
} from './definition.ts';
export { scheduleInvariants } from './invariants.ts';
export { listRuns } from './list-runs.ts';
export { listSchedules } from './list-schedules.ts';
export { scheduleNamed } from './named.ts';
export { nextExpected } from './next-run.ts';
export { openSchedules, type Schedules } from './open-schedules.ts';
export { pauseSchedule, resumeSchedule } from './pause.ts';
export { schedulerQueue } from './queue.ts';
export { retainSchedules, scheduleRetention } from './retention.ts';
export { runNow } from './run-now.ts';
export { readOverdue } from './watch.ts';
