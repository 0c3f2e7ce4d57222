export {
  controlledQueue,
  explanation,
  jobList,
  jobStates,
  jobView,
  pauseBody,
  promotedJob,
  queueDetail,
  removeBody,
  removedJob,
  resumeBody,
} from './contract.ts';
export { readQueueDetail } from './detail.ts';
export { explainJobWait, explainQueueWait } from './explain.ts';
export { viewJob } from './job-view.ts';
export { listJobs } from './list-jobs.ts';
export { applyWish, pauseQueue, resumeQueue, type Wished } from './pause.ts';
export { promoteJob } from './promote.ts';
export { queueNamed } from './queue-names.ts';
export { removeJob } from './remove.ts';
export { jobRowOf } from './runs.ts';
export { openQueueWishes } from './wishes.ts';
