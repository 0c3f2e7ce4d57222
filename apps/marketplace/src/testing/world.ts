import { createLogger, type Database, openDatabase, openMigrator } from '@fmhl/ops';
import { createTestDatabase, templateDatabase } from '@fmhl/ops/testing';
import { inject } from 'vitest';
import type { Log, MarketplaceLogEvent } from '../log.ts';
import type { BillingOperation, Count, Observe, ProductMetrics } from '../metrics.ts';
import { migrationSets } from '../migrations.ts';

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
  return {
    db,
    url: database.url,
    metrics: countMetrics(),
    log,
    lines,
    now: () => new Date(),
    async close() {
      await db.close();
      await database.drop();
    },
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
    assignmentsCreated: count('assignmentsCreated'),
    assignmentsSkippedInsufficientBalance: count('assignmentsSkippedInsufficientBalance'),
    distributionDurationMs: observe('distributionDurationMs'),
    distributionCandidates: observe('distributionCandidates'),
    distributionLockRetries: count('distributionLockRetries'),
    levelSweeps: count('levelSweeps'),
    leadAssignmentLatencyMs: observe('leadAssignmentLatencyMs'),
    leadAssignmentVerdicts: { in_time: count('leadAssignmentVerdicts.in_time'), late: count('leadAssignmentVerdicts.late') },
    inboxQueryDurationMs: observe('inboxQueryDurationMs'),
    billingOperationDurationMs: {
      charge: byOperation('charge'),
      refund: byOperation('refund'),
      deposit: byOperation('deposit'),
      adjust: byOperation('adjust'),
    },
    billingFailure: (operation, reason) => move(`billingFailure.${operation}.${reason}`),
  };
}
