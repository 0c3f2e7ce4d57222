import { defineMetrics, type Metrics, type OpsCatalogue, opsCatalogue } from '@fmhl/ops';
import { type QuotaName, quotaNames } from './request-limits/index.ts';

/** Counts up. */
export interface Count {
  inc(by?: number): void;
}

/** Records one duration or size. */
export interface Observe {
  observe(value: number): void;
}

export const billingOperations = ['charge', 'refund', 'deposit', 'adjust'] as const;
export type BillingOperation = (typeof billingOperations)[number];

/** What can fail about money: an operation, or the agreement of a balance with its ledger. */
export const billingFailureOperations = [...billingOperations, 'reconcile'] as const;
export type BillingFailureOperation = (typeof billingFailureOperations)[number];
export const billingFailureReasons = [
  'charge_mismatch',
  'contradiction',
  'discrepancy',
  'many_corrections',
  'error',
] as const;
export type BillingFailureReason = (typeof billingFailureReasons)[number];

/** The instruments of the product's own metrics. Move them after the commit: `tx.afterCommit(() => …)`. */
export interface ProductMetrics {
  leadsSubmitted: Count;
  leadsApproved: Count;
  badLeadsReported: Count;
  refundsApproved: Count;
  assignmentsCreated: Count;
  assignmentsSkippedInsufficientBalance: Count;
  distributionDurationMs: Observe;
  distributionCandidates: Observe;
  distributionLockRetries: Count;
  levelSweeps: Count;
  subscriptionsReactivated: Count;
  leadAssignmentLatencyMs: Observe;
  leadAssignmentVerdicts: Record<'in_time' | 'late', Count>;
  inboxQueryDurationMs: Observe;
  billingOperationDurationMs: Record<BillingOperation, Observe>;
  rateLimitFallbacks: Count;
  requestsRefused(limit: QuotaName): Count;
  billingFailure(operation: BillingFailureOperation, reason: BillingFailureReason): void;
}

const latencyBuckets = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000];

/** A flow: work of the process that reports it, read with `sum(rate(…))`. */
function flow<Type extends 'counter' | 'histogram'>(type: Type, help: string, unit: string, reporter: string) {
  return { type, help, unit, reporter, aggregation: 'F' } as const;
}

/** A stock: shared state, equal in every process that reports it, read with `max`. */
function stock(help: string, unit: string) {
  return { type: 'gauge', help, unit, reporter: 'api and scheduler, Postgres', aggregation: 'S' } as const;
}

/** Every metric of the product: the plane's own and the marketplace's. */
export const catalogue = {
  ...opsCatalogue(),
  ...defineMetrics('fmhl_', {
    leads_submitted_total: flow('counter', 'Leads stored, test leads apart', 'leads', 'api, after commit'),
    leads_approved_total: flow('counter', 'Leads approved', 'leads', 'api, after commit'),
    bad_leads_reported_total: flow('counter', 'Reports of bad leads by their buyers', 'reports', 'api, after commit'),
    refunds_approved_total: flow('counter', 'Assignments refunded', 'refunds', 'api, after commit'),
    assignments_created_total: flow('counter', 'Leads sold to a provider', 'assignments', 'worker, after commit'),
    assignments_skipped_insufficient_balance_total: flow(
      'counter',
      'Candidates paused because their balance did not cover the price',
      'candidates',
      'worker, after commit',
    ),
    distribution_duration_ms: {
      ...flow('histogram', 'One attempt to sell a lead, failed ones too', 'ms', 'worker'),
      thresholds: [2_000],
    },
    distribution_candidates: {
      ...flow('histogram', 'Subscriptions examined for one lead', 'rows', 'worker'),
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000],
    },
    distribution_lock_retries_total: flow(
      'counter',
      'Sales tried again in place after a lock conflict',
      'tries',
      'worker',
    ),
    level_sweeps_total: flow(
      'counter',
      'Levels whose unaffordable subscriptions were paused at once',
      'sweeps',
      'worker, after commit',
    ),
    subscriptions_reactivated_total: flow(
      'counter',
      'Subscriptions paused for funds that the safety net resumed; any shows that a credit or a price cut did not',
      'subscriptions',
      'the process that runs the schedule, after commit',
    ),
    lead_assignment_latency_ms: {
      ...flow('histogram', 'From approval to the commit of the sale', 'ms', 'worker, after commit'),
      buckets: latencyBuckets,
    },
    lead_assignment_verdicts_total: {
      ...flow(
        'counter',
        'Approved leads by whether they were decided within 60 s',
        'leads',
        'worker; scheduler for late ones',
      ),
      labels: { verdict: ['in_time', 'late'] },
    },
    inbox_query_duration_ms: {
      ...flow('histogram', 'One inbox query, the wait for a connection included', 'ms', 'api'),
      thresholds: [1_000],
    },
    billing_operation_duration_ms: {
      ...flow('histogram', 'One operation on money', 'ms', 'the process that runs it'),
      labels: { operation: billingOperations },
    },
    requests_refused_total: {
      ...flow('counter', 'Requests beyond a limit, answered with 429', 'requests', 'api'),
      labels: { limit: quotaNames },
    },
    rate_limit_fallbacks_total: flow(
      'counter',
      'Requests counted in the memory of one process, as Redis did not answer',
      'requests',
      'api',
    ),
    billing_failures_total: {
      ...flow(
        'counter',
        'Operations on money that failed; too little balance is not one',
        'failures',
        'the process that runs it',
      ),
      labels: { operation: billingFailureOperations, reason: billingFailureReasons },
    },
    billing_reconciliation_mismatches: stock(
      'Accounts that disagree with their ledger and wait for a person; one more while the last run corrected more than 20',
      'cases',
    ),
    billing_reconciliation_last_success_timestamp_seconds: stock('When every balance was last compared', 'seconds'),
    payments_pending: stock('Payments that wait for the gateway', 'payments'),
    payments_pending_oldest_age_seconds: stock('Age of the oldest payment that waits for the gateway', 'seconds'),
  }),
};

export type AppMetrics = Metrics<OpsCatalogue & typeof catalogue>;

/** Binds each instrument once. */
export function bindProductMetrics(metrics: AppMetrics): ProductMetrics {
  const verdicts = metrics.counter('lead_assignment_verdicts_total');
  const durations = metrics.histogram('billing_operation_duration_ms');
  const failures = metrics.counter('billing_failures_total');
  const refused = metrics.counter('requests_refused_total');
  return {
    leadsSubmitted: metrics.counter('leads_submitted_total'),
    leadsApproved: metrics.counter('leads_approved_total'),
    badLeadsReported: metrics.counter('bad_leads_reported_total'),
    refundsApproved: metrics.counter('refunds_approved_total'),
    assignmentsCreated: metrics.counter('assignments_created_total'),
    assignmentsSkippedInsufficientBalance: metrics.counter('assignments_skipped_insufficient_balance_total'),
    distributionDurationMs: metrics.histogram('distribution_duration_ms'),
    distributionCandidates: metrics.histogram('distribution_candidates'),
    distributionLockRetries: metrics.counter('distribution_lock_retries_total'),
    levelSweeps: metrics.counter('level_sweeps_total'),
    subscriptionsReactivated: metrics.counter('subscriptions_reactivated_total'),
    leadAssignmentLatencyMs: metrics.histogram('lead_assignment_latency_ms'),
    leadAssignmentVerdicts: {
      in_time: verdicts.labels({ verdict: 'in_time' }),
      late: verdicts.labels({ verdict: 'late' }),
    },
    inboxQueryDurationMs: metrics.histogram('inbox_query_duration_ms'),
    billingOperationDurationMs: {
      charge: durations.labels({ operation: 'charge' }),
      refund: durations.labels({ operation: 'refund' }),
      deposit: durations.labels({ operation: 'deposit' }),
      adjust: durations.labels({ operation: 'adjust' }),
    },
    rateLimitFallbacks: metrics.counter('rate_limit_fallbacks_total'),
    requestsRefused: (limit) => refused.labels({ limit }),
    billingFailure: (operation, reason) => failures.labels({ operation, reason }).inc(),
  };
}
