import { currentContext, type LogContext, runWithContext } from '@fmhl/ops';

/** Runs `work` under the correlation of a lead's submission: its events, jobs, audit rows and log lines carry that id. */
export function underLead<T>(correlationId: string, work: () => T): T {
  return runWithContext(contextUnder(correlationId), work);
}

/** The running context, gone on under the correlation of a lead's submission. */
export function contextUnder(correlationId: string): LogContext {
  const context = currentContext();
  const requestId = context?.correlationId === correlationId ? context.requestId : context?.correlationId;
  return { ...context, correlationId, ...(requestId && { requestId }) };
}
