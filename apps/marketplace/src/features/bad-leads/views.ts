import type { StepResult } from '../../each-once.ts';
import type { Refund } from '../billing/index.ts';
import type { BulkResult, OwnReport, RefundView } from './contract.ts';
import type { ReportRow } from './queries.ts';

export function viewReport({ reported_at, resolved_at, ...row }: ReportRow): OwnReport {
  return {
    assignment_id: row.assignment_id,
    lead_id: row.lead_id,
    reason: row.reason,
    notes: row.notes,
    status: row.status,
    reported_at: reported_at.toISOString(),
    resolved_at: resolved_at?.toISOString() ?? null,
    refund_cents: row.refund_cents,
  };
}

export function viewRefund({ entry_id, amount_cents, balance_cents }: Refund): RefundView {
  return { entry_id, amount_cents, balance_cents };
}

export function viewStep({ done, ...result }: StepResult<{ readonly changed: boolean }>): BulkResult {
  return { ...result, changed: done?.changed ?? false };
}
