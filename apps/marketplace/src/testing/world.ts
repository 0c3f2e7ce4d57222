import { createLogger, type Database, openDatabase, openMigrator } from '@fmhl/ops';
import { createTestDatabase, templateDatabase } from '@fmhl/ops/testing';
import { inject } from 'vitest';
import type { Log, MarketplaceLogEvent } from '../log.ts';
import type { BillingOperation, Count, Observe, ProductMetrics } from '../metrics.ts';
import { migrationSets } from '../migrations.ts';
import { makeUser, type UserOverrides } from './auth.ts';
import { type CreditOverrides, makeCredit } from './billing.ts';
import { type LeadOverrides, makeLead } from './leads.ts';
import {
  type LevelOverrides,
  makeLevel,
  makeNiche,
  makeProvider,
  makeSubscription,
  type NicheOverrides,
  type ProviderOverrides,
  type SubscriptionOverrides,
} from './subscriptions.ts';

/** Instruments that count their moves: `counts.leadsSubmitted`, `counts['billingOperationDurationMs.charge']`. */
export interface CountedMetrics extends ProductMetrics {
  readonly counts: Record<string, number>;
}

/** A database of its own with every migration, counted metrics, and a log that is kept. */
export interface TestWorld {
  readonly db: Database;
  readonly url: string;
  readonly metrics: CountedMetrics;
  readonly log: Log;
  /** Log lines as they were written, oldest first. */
  readonly lines: string[];
  readonly now: () => Date;
  /** Rows to start from, one factory a feature. */
  readonly make: ReturnType<typeof factories>;
  close(): Promise<void>;
}

export async function openTestWorld(): Promise<TestWorld> {
  const adminUrl = inject('databaseUrl');
  const template = await templateDatabase({
    adminUrl,
    name: 'marketplace_template',
    prepare: async (url) => void (await openMigrator({ url, sets: migrationSets }).up()),
  });
  const database = await createTestDatabase({ adminUrl, template });
  const db = openDatabase({ url: database.url, poolSize: 20 });
  const lines: string[] = [];
  const log = createLogger<MarketplaceLogEvent>({
    level: 'debug',
    format: 'json',
    service: 'test',
    version: 'test',
    instance: 'test',
    bootId: 'test-boot',
    sampleRate: 1,
    destination: { write: (line) => void lines.push(line) },
  });
  const metrics = countMetrics();
  return {
    db,
    url: database.url,
    metrics,
    log,
    make: factories(db, { metrics, log }),
    lines,
    now: () => new Date(),
    async close() {
      await db.close();
      await database.drop();
    },
  };
}

function factories(db: Database, deps: { metrics: ProductMetrics; log: Log }) {
  return {
    user: (overrides?: UserOverrides) => makeUser(db, overrides),
    niche: (overrides?: NicheOverrides) => makeNiche(db, overrides),
    level: (overrides: LevelOverrides) => makeLevel(db, overrides),
    provider: (overrides?: ProviderOverrides) => makeProvider(db, overrides),
    subscription: (overrides: SubscriptionOverrides) => makeSubscription(db, overrides),
    lead: (overrides: LeadOverrides) => makeLead(db, overrides),
    credit: (overrides: CreditOverrides) => makeCredit(db, overrides, deps),
  };
}

function countMetrics(): CountedMetrics {
  const counts: Record<string, number> = {};
  const move = (name: string, by = 1) => {
    counts[name] = (counts[name] ?? 0) + by;
  };
  const count = (name: string): Count => ({ inc: (by) => move(name, by) });
  const observe = (name: string): Observe => ({ observe: () => move(name) });
  const byOperation = (operation: BillingOperation) => observe(`billingOperationDurationMs.${operation}`);
  return {
    counts,
    leadsSubmitted: count('leadsSubmitted'),
    leadsApproved: count('leadsApproved'),
    badLeadsReported: count('badLeadsReported'),
    refundsApproved: count('refundsApproved'),
    assignmentsCreated: count('assignmentsCreated'),
    assignmentsSkippedInsufficientBalance: count('assignmentsSkippedInsufficientBalance'),
    distributionDurationMs: observe('distributionDurationMs'),
    distributionCandidates: observe('distributionCandidates'),
    distributionLockRetries: count('distributionLockRetries'),
    levelSweeps: count('levelSweeps'),
    subscriptionsReactivated: count('subscriptionsReactivated'),
    leadAssignmentLatencyMs: observe('leadAssignmentLatencyMs'),
    leadAssignmentVerdicts: {
      in_time: count('leadAssignmentVerdicts.in_time'),
      late: count('leadAssignmentVerdicts.late'),
    },
    inboxQueryDurationMs: observe('inboxQueryDurationMs'),
    billingOperationDurationMs: {
      charge: byOperation('charge'),
      refund: byOperation('refund'),
      deposit: byOperation('deposit'),
      adjust: byOperation('adjust'),
    },
    rateLimitFallbacks: count('rateLimitFallbacks'),
    requestsRefused: (limit) => count(`requestsRefused.${limit}`),
    billingFailure: (operation, reason) => move(`billingFailure.${operation}.${reason}`),
  };
}
