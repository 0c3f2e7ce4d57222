import type { InboxDetail, InboxItem } from './contract.ts';
import type { DetailRow, ItemRow } from './queries.ts';

export function viewItem(row: ItemRow): InboxItem {
  return {
    assignment_id: row.id,
    lead_id: row.lead_id,
    status: row.decision ?? (row.viewed_at ? 'viewed' : 'new'),
    niche: { slug: row.niche_slug, name: row.niche_name },
    level: { id: row.level_id, name: row.level_name },
    price_cents: row.price_cents,
    assigned_at: row.assigned_at.toISOString(),
    refunded_at: row.refunded_at?.toISOString() ?? null,
    name: row.name,
    email: row.email,
    phone: row.phone,
    area_codes: row.area_codes,
    viewed_at: row.viewed_at?.toISOString() ?? null,
    decided_at: row.decided_at?.toISOString() ?? null,
    report: viewReport(row),
  };
}

/** A refund that nobody asked for is no report. */
function viewReport({ report_status: status, report_reason: reason, reported_at }: ItemRow): InboxItem['report'] {
  return status && reason && reported_at ? { status, reason, reported_at: reported_at.toISOString() } : null;
}

export function viewDetail(row: DetailRow): InboxDetail {
  return {
    ...viewItem(row),
    form: row.form,
    submitted_at: row.submitted_at.toISOString(),
    report_until: row.report_until.toISOString(),
    erased_at: row.erased_at?.toISOString() ?? null,
    decline_reason: row.decline_reason,
  };
}
