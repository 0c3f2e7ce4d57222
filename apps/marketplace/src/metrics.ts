/** Counts up. */
export interface Count {
  inc(by?: number): void;
}

/** Records one duration or size. */
export interface Observe {
  observe(value: number): void;
}

export type BillingOperation = 'charge' | 'refund' | 'deposit' | 'adjust';

/** The instruments of the product's own metrics. Move them after the commit: `tx.afterCommit(() => …)`. */
export interface ProductMetrics {
  leadsSubmitted: Count;
  leadsApproved: Count;
  assignmentsCreated: Count;
  assignmentsSkippedInsufficientBalance: Count;
  distributionDurationMs: Observe;
  distributionCandidates: Observe;
  distributionLockRetries: Count;
  levelSweeps: Count;
  leadAssignmentLatencyMs: Observe;
  leadAssignmentVerdicts: Record<'in_time' | 'late', Count>;
  inboxQueryDurationMs: Observe;
  billingOperationDurationMs: Record<BillingOperation, Observe>;
  billingFailure(operation: BillingOperation, reason: 'charge_mismatch' | 'error'): void;
}
