export {
  acceptCorrelationId,
  adoptCorrelation,
  currentContext,
  type LogContext,
  RunningContext,
  runWithContext,
} from './context.ts';
export { type DescribedError, describeError } from './errors.ts';
export { createLogger, type Logger, type LoggerOptions, type SuppressionReason, suppressionReasons } from './logger.ts';
export { isPersonalKey, isSensitiveKey, maskText } from './masking.ts';
export type { Meta } from './metadata.ts';
export type { LogDestination, LogFormat, LogLevel } from './output.ts';
export { type OpsLogEvent, opsLogEvents, type SampledLogEvent } from './vocabulary.ts';
