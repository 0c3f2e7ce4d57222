export { type CauseOfDeath, causeNames, causesOfDeath } from './causes/index.ts';
export {
  type Actor,
  adoptAuditChain,
  type AuditEntry,
  type AuditKey,
  audit,
  changeAuditKey,
  type Denial,
  type Denials,
  type KeyChange,
  systemActor,
} from './audit/index.ts';
export * from './cli/index.ts';
export { type Cell, csvLine, csvText } from './csv/index.ts';
export {
  type BreachRow,
  diskPart,
  type DoctorPart,
  type DoctorReport,
  findBreaches,
  type Found,
  type Invariant,
  type InvariantCounts,
  type InvariantText,
  type Part,
  type PartFinding,
  type ProbeResult,
} from './doctor/index.ts';
export { type PastDeath, recordPastDeaths } from './dead-letters/index.ts';
export { appendEvents, type EventDraft, type EventKind, eventsInsert, eventsOf } from './events/index.ts';
export { armFailpoint, type Failpoint, type FailpointName, failpointNames, noFailpoints } from './failpoints/index.ts';
export * from './health/index.ts';
export {
  type Access,
  answerError,
  type Authorization,
  type Authorize,
  checkAccess,
  freshForMs,
  gracefulClose,
  type GracefulCloseOptions,
  guardNetworks,
  idempotencyKey,
  idempotencyKeyForm,
  jsonBody,
  PortTaken,
  probeListener,
  type ProbeListener,
  type ProbeListenerOptions,
  type ProbeOptions,
  probes,
  serverErrors,
  web,
  type WebOptions,
  write,
} from './http/index.ts';
export { type Answer, canonical, once, type OnceScope } from './idempotency/index.ts';
export { type Lease, type LeaseOptions, openLease } from './leases/index.ts';
export * from './logging/index.ts';
export {
  type Loop,
  type LoopOptions,
  repeating,
  type Runnable,
  type RunOptions,
  runUntilSignal,
  startAll,
  together,
} from './loops/index.ts';
export { connectRedis, type RedisOptions } from './redis/index.ts';
export * from './metrics/index.ts';
export { type Handlers, openOps, type Ops, opsMigrations, type OpsOptions } from './ops.ts';
export { type OpsPermission, opsPermissions, permissionPresets } from './permissions/index.ts';
export * from './postgres/index.ts';
export {
  bury,
  type Death,
  type DeathCause,
  defineQueue,
  done,
  enqueue,
  enqueueMany,
  type EnqueueOptions,
  enqueueParts,
  Fenced,
  type GroupCommit,
  groupCommit,
  type Job,
  type JobDraft,
  type JobHandler,
  type JobKind,
  type JobOutcome,
  type DeathHooks,
  type OnDeaths,
  type PayloadOf,
  PayloadRefused,
  PermanentError,
  type QueueDefinition,
  type QueueOverview,
  type QueueRow,
  retry,
  runState,
  type SideEffect,
  snooze,
} from './queues/index.ts';
export * from './refusals/index.ts';
export { opsTables, type TableRetention } from './retention.ts';
export {
  type CatchUp,
  compareFireTimes,
  type Counts,
  defineSchedule,
  type Mismatch,
  type ScheduleContext,
  type ScheduleDefinition,
  type ScheduleOptions,
  scheduleInvariants,
  schedulerQueue,
} from './schedules/index.ts';
