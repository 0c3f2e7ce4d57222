import { done, type JobHandler } from '@fmhl/ops';
import { distributeLead, type DistributionDeps } from './distribute.ts';

export interface DistributeLeadPayload {
  readonly v: 1;
  readonly lead_id: string;
  readonly sale_no: number;
}

/** Handles `distribute_lead`: the sale and the end of its job are one commit. */
export function openDistributionHandler(deps: DistributionDeps): JobHandler<DistributeLeadPayload> {
  return async (job) => {
    const { lead_id: leadId, sale_no: saleNo } = job.payload;
    let tries = 0;
    let startedAt = performance.now();
    // Each try counts, also one that fails at its commit; what comes after the sale belongs to it.
    const record = () => deps.metrics.distributionDurationMs.observe(performance.now() - startedAt);
    try {
      await job.commit((tx) => {
        // A lock conflict is tried again in place, by calling this once more.
        if (tries > 0) {
          record();
          deps.metrics.distributionLockRetries.inc();
          startedAt = performance.now();
        }
        tries += 1;
        return distributeLead(tx, { leadId, saleNo, attempt: job.attempt }, deps);
      });
    } finally {
      record();
    }
    return done;
  };
}
