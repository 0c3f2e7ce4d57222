export type { Check, CheckAnswer, CheckStatus } from './checker.ts';
export {
  type CheckBody,
  createHealth,
  type Health,
  type HealthAnswer,
  type HealthBody,
  type HealthChange,
  type HealthOptions,
} from './health.ts';
export { type CheckFailure, failureOf } from './verdict.ts';
