import { type Database, defineSchedule, type Ops, type ScheduleDefinition } from '@fmhl/ops';
import type { Config } from './config.ts';
import { reconcileBalances } from './features/billing/index.ts';
import { reactivateSubscriptions } from './features/subscriptions/index.ts';
import type { Log } from './log.ts';
import type { ProductMetrics } from './metrics.ts';
import { retainTables } from './retention.ts';

export interface ScheduleDeps {
  readonly db: Database;
  readonly log: Log;
  readonly metrics: ProductMetrics;
  /** The plane that the schedules run on: there by the time the first of them runs. */
  readonly plane: () => Pick<Ops, 'retainDeadLetters' | 'retainRows' | 'runInvariants'>;
}

type Switches = Pick<Config, 'subscriptionReactivationEnabled' | 'balanceReconciliationEnabled' | 'dlqCleanupEnabled'>;

const minute = 60_000;

/** What runs by the clock, in UTC. None overlaps with itself; after an outage the last fire time is caught up. */
export function schedules(switches: Switches, { plane, ...deps }: ScheduleDeps): readonly ScheduleDefinition[] {
  const { db, log } = deps;
  return [
    defineSchedule({
      name: 'subscription-reactivation',
      cron: '*/5 * * * *',
      enabled: switches.subscriptionReactivationEnabled,
      auditAction: 'subscriptions.reactivated',
      run: ({ runId, signal }) => reactivateSubscriptions({ ...deps, runId, signal }),
    }),
    defineSchedule({
      name: 'balance-reconciliation',
      cron: '0 3 * * *',
      enabled: switches.balanceReconciliationEnabled,
      auditAction: 'billing.reconciled',
      limitMs: 30 * minute,
      timeoutMs: 60 * minute,
      run: ({ runId, correlationId, signal }) => reconcileBalances({ ...deps, runId, correlationId, signal }),
    }),
    defineSchedule({
      name: 'dlq-cleanup',
      cron: '0 0 * * 0',
      enabled: switches.dlqCleanupEnabled,
      auditAction: 'dlq.retention_ran',
      graceMs: 15 * minute,
      limitMs: 60 * minute,
      timeoutMs: 60 * minute,
      run: ({ signal }) => plane().retainDeadLetters(signal),
    }),
    defineSchedule({
      name: 'retention',
      cron: '30 0 * * *',
      auditAction: 'retention.ran',
      graceMs: 15 * minute,
      limitMs: 60 * minute,
      timeoutMs: 60 * minute,
      run: async ({ now, signal }) => ({
        ...(await plane().retainRows(signal)),
        ...(await retainTables(db, { now, signal })),
      }),
    }),
    defineSchedule({
      name: 'invariants',
      cron: '*/10 * * * *',
      auditAction: 'invariants.checked',
      run: async ({ signal }) => ({ ...(await plane().runInvariants({ signal, log })) }),
    }),
  ];
}
