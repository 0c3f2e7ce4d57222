import { z } from 'zod';
import { pageQuery } from '../../page.ts';
import { moment } from './report-contract.ts';

/** What providers may have of their own rows. */
export const providerExportTypes = ['inbox', 'balance'] as const;
/** What the staff may have of all rows. */
export const staffExportTypes = ['leads', 'assignments', 'ledger'] as const;
export type ExportType = (typeof providerExportTypes)[number] | (typeof staffExportTypes)[number];

export const exportStatuses = ['pending', 'processing', 'completed', 'failed', 'cancelled', 'expired'] as const;
export type ExportStatus = (typeof exportStatuses)[number];

const range = {
  /** First moment of the rows, included: a date is its midnight in UTC. */
  from: moment,
  /** First moment that is not asked for. Rows that come after the request are never in the file. */
  to: moment,
};

export const providerExportRequest = z.strictObject({ type: z.enum(providerExportTypes), ...range });
export const staffExportRequest = z.strictObject({ type: z.enum(staffExportTypes), ...range });

export const exportAccepted = z.object({ id: z.uuid(), status: z.enum(exportStatuses) });

export const exportListQuery = pageQuery.extend({ status: z.enum(exportStatuses).optional() });

/** An export and how far it is. */
export const exportView = z.object({
  id: z.uuid(),
  type: z.enum([...providerExportTypes, ...staffExportTypes]),
  status: z.enum(exportStatuses),
  /** Under way, and without a new row for 10 minutes. */
  stalled: z.boolean(),
  from: z.iso.datetime(),
  to: z.iso.datetime(),
  as_of: z.iso.datetime(),
  rows_done: z.int(),
  /** How many rows there will be; null until they were counted. */
  rows_estimate: z.int().nullable(),
  progress_at: z.iso.datetime().nullable(),
  bytes: z.int().nullable(),
  sha256: z.string().nullable(),
  completed_at: z.iso.datetime().nullable(),
  /** From then on the file is gone. */
  expires_at: z.iso.datetime().nullable(),
  /** Why it failed: `requester_disabled`, `row_limit`, `job_dead`. */
  error: z.string().nullable(),
  created_at: z.iso.datetime(),
});
export type ExportView = z.infer<typeof exportView>;

/** The same for the staff, who see everybody's; they download those of the market alone. */
export const staffExportView = exportView.extend({
  requested_by: z.uuid(),
  /** Set: a provider's own export. */
  provider_id: z.uuid().nullable(),
});

export type StaffExportView = z.infer<typeof staffExportView>;

export const cancelResponse = z.object({ id: z.uuid(), status: z.enum(exportStatuses), changed: z.boolean() });
