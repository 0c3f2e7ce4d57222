import { currentContext, runWithContext } from '@fmhl/ops';

/** Runs `work` under the correlation of a lead's submission: its events, jobs, audit rows and log lines carry that id. */
export function underLead<T>(correlationId: string, work: () => T): T {
  const context = currentContext();
  const requestId = context?.correlationId === correlationId ? context.requestId : context?.correlationId;
  return runWithContext({ ...context, correlationId, ...(requestId && { requestId }) }, work);
}
