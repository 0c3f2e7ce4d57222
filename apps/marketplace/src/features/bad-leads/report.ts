import { type Actor, adoptCorrelation, appendEvents, audit, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { ProductMetrics } from '../../metrics.ts';
import { wordsOf } from '../leads/index.ts';
import type { ReportRequest } from './contract.ts';
import { reportedEvent } from './facts.ts';
import {
  insertReport,
  lockReporter,
  type Reportable,
  readReportable,
  recentReports,
  type ReportRow,
} from './queries.ts';

/** Reports a provider may make within a day, counted back from the newest. */
const aDay = 10;
const dayMs = 86_400_000;

export interface Report extends ReportRequest {
  readonly assignmentId: string;
  readonly providerId: string;
  readonly actor: Actor;
}

export interface ReportDeps {
  readonly metrics: Pick<ProductMetrics, 'badLeadsReported'>;
  readonly log: Log;
  readonly now: () => Date;
}

/**
 * Takes a provider's word that a lead they bought is bad; no money moves until the staff decide. The same again changes nothing. Of a lead
 * that is erased the notes are not kept.
 * Refuses `not_found`, `already_resolved`, `invalid_state` (another report waits), `report_window_closed`, `rate_limited`.
 */
export async function reportBadLead(
  tx: Tx,
  given: Report,
  deps: ReportDeps,
): Promise<ReportRow & { changed: boolean }> {
  const now = deps.now();
  const report = { ...given, notes: await wordsOf(tx, given, given.notes) };
  const seen = await readOwn(tx, report);
  if (seen.status) return { ...standing(report, seen), changed: false };
  if (now > seen.closes_at) throw refuse('report_window_closed', { closed_at: seen.closes_at.toISOString() });
  await lockReporter(tx, report.providerId);
  await refuseTooMany(tx, report.providerId, now);
  if (!(await insertReport(tx, { ...report, at: now }))) {
    return { ...standing(report, await readOwn(tx, report)), changed: false };
  }
  adoptCorrelation(seen.correlation_id);
  await tell(tx, report, deps);
  return { ...standing(report, await readOwn(tx, report)), changed: true };
}

async function readOwn(tx: Tx, report: Report): Promise<Reportable> {
  const seen = await readReportable(tx, report);
  if (!seen) throw refuse('not_found');
  return seen;
}

/** The report as it stands, when it says the same and waits. */
function standing({ assignmentId, reason, notes }: Report, seen: Reportable): ReportRow {
  if (seen.status !== 'pending') throw refuse('already_resolved', { status: seen.status });
  if (seen.reason !== reason || seen.notes !== (notes ?? null)) throw refuse('invalid_state', { status: seen.status });
  const { correlation_id: _correlation, closes_at: _closes, ...row } = seen;
  return { assignment_id: assignmentId, ...row } as ReportRow;
}

async function refuseTooMany(tx: Tx, providerId: string, now: Date): Promise<void> {
  const since = new Date(now.getTime() - dayMs);
  const recent = await recentReports(tx, { providerId, since, limit: aDay });
  const oldest = recent.at(-1);
  if (recent.length < aDay || !oldest) return;
  const retry_after_s = Math.max(1, Math.ceil((oldest.getTime() - since.getTime()) / 1_000));
  throw refuse('rate_limited', { limit: 'bad_lead_reports', most: aDay, retry_after_s });
}

async function tell(tx: Tx, { assignmentId, reason, actor }: Report, { metrics, log }: ReportDeps): Promise<void> {
  await audit(tx, {
    actor,
    action: 'bad_lead.reported',
    targetType: 'assignment',
    targetId: assignmentId,
    details: { reason },
  });
  await appendEvents(tx, [reportedEvent(assignmentId, reason)]);
  tx.wake('events');
  tx.afterCommit(() => {
    metrics.badLeadsReported.inc();
    log.info('bad_lead_reported', { assignment_id: assignmentId, reason });
  });
}
