import type { ExportView, StaffExportView } from './export-contract.ts';
import type { ExportRow } from './export-queries.ts';

/** An export as who asked for it sees it. */
export function viewExport(row: ExportRow): ExportView {
  const { id, type, status, stalled, rows_done, rows_estimate, bytes, sha256, error } = row;
  return {
    id,
    type,
    status,
    stalled,
    ...row.filters,
    as_of: row.as_of.toISOString(),
    rows_done,
    rows_estimate,
    progress_at: row.progress_at?.toISOString() ?? null,
    bytes,
    sha256,
    completed_at: row.completed_at?.toISOString() ?? null,
    expires_at: row.expires_at?.toISOString() ?? null,
    error,
    created_at: row.created_at.toISOString(),
  };
}

/** An export as the staff see it: also whose it is. */
export function viewStaffExport(row: ExportRow): StaffExportView {
  return { ...viewExport(row), requested_by: row.requested_by, provider_id: row.provider_id };
}
