import { z } from 'zod';

export * from './audit/contract.ts';
export * from './dead-letter-groups/contract.ts';
export * from './dead-letter-report/contract.ts';
export * from './dead-letter-search/contract.ts';
export {
  closeAnswer,
  closeBody,
  deleteAnswer,
  deleteBody,
  jsonPatch,
  retryAnswer,
  retryBody,
  retryPreview,
} from './dead-letters/contract.ts';
export * from './doctor/contract.ts';
export * from './filters/index.ts';
export * from './http/contract.ts';
export * from './permissions/contract.ts';
export {
  queueOverview,
  type QueueOverview,
  type QueuePause,
  queuePause,
  type QueueRow,
  queueRow,
} from './queues/contract.ts';
export * from './queue-control/contract.ts';
export * from './redrives/contract.ts';
export * from './schedules/contract.ts';
export {
  type ErrorCode,
  type ErrorCodes,
  opsErrors,
  Refusal,
  refusals,
  refuse,
  statusTexts,
} from './refusals/index.ts';

/** The one shape of errors. */
export const problem = z.object({
  error: z.string(),
  code: z.string(),
  correlation_id: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
});
