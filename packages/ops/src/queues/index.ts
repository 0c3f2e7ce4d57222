export { queueOverview, type QueueOverview, type QueuePause, type QueueRow } from './contract.ts';
export { openAttemptCounts } from './attempt-counts.ts';
export { openRedisQueues, type RedisQueues } from './bullmq.ts';
export type { RedisPlace } from './bullmq-inspection.ts';
export { Fenced } from './commit.ts';
export {
  deadColumns,
  type DeadRow,
  type Death,
  type DeathHooks,
  deathsOf,
  type DeathWriter,
  type Dying,
  dyingRow,
  type DyingRow,
  openDeathWriter,
  type OnDeaths,
  verdictParts,
  writeVerdicts,
} from './death.ts';
export { defineQueue, type JobKind, type PayloadOf, type QueueDefinition, type SideEffect } from './definition.ts';
export { cached } from './cached.ts';
export { lintOf } from './lint.ts';
export { mostWaiting } from './dispatch.ts';
export { openDispatcher } from './dispatcher.ts';
export { enqueue, enqueueMany, type EnqueueOptions, enqueueParts, type JobDraft, runState } from './enqueue.ts';
export { depthOf, type Envelope, inlinePayloadBytes, PayloadRefused, readEnvelope, sha256 } from './envelope.ts';
export { type FailedJob, type FailedSets, openFailedSets } from './failed-set.ts';
export { asError, describeFailure, type Failure } from './failure.ts';
export { type GroupCommit, groupCommit } from './group-commit.ts';
export type { Job, JobHandler } from './handler.ts';
export { bury, done, type JobOutcome, PermanentError, retry, snooze } from './outcome.ts';
export { enqueueProbe, probeKind } from './probe.ts';
export { isDeclaredPersonal, openPaths, personalPathsOf } from './personal-paths.ts';
export { pauseOf, readOverview } from './overview.ts';
export type { PausedColumns } from './overview-queries.ts';
export { openReconciler, openRetention } from './reconciler.ts';
export { watchStocks } from './stocks.ts';
export { retainJobs, retention } from './retention.ts';
export { createRegistry, type QueueRegistry } from './registry.ts';
export type { DeathCause } from './verdict.ts';
export { openWorker } from './worker.ts';
