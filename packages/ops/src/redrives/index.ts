export {
  itemOutcomes,
  redriveAbortRequest,
  redriveContinueRequest,
  redriveDetail,
  redriveItems,
  redriveList,
  redrivePlanRequest,
  redriveRateRequest,
  redriveReason,
  redriveStartRequest,
  redriveStates,
} from './contract.ts';
export {
  abortRedrive,
  acknowledgeRedrive,
  type Asking,
  type Changed,
  continueRedrive,
  pauseRedrive,
  resumeRedrive,
  setRate,
} from './control.ts';
export { openRedriveEngine, type RedriveEngineOptions, type RedriveSettings } from './engine.ts';
export { mostItems } from './freeze.ts';
export { planRedrive, type RedriveHost } from './plan.ts';
export { listItems, listRedrives, readRedrive } from './read.ts';
export { approveRedrive, startRedrive } from './start.ts';
