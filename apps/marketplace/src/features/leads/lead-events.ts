import type { EventDraft } from '@fmhl/ops';

type LeadEventType =
  | 'lead.submitted'
  | 'lead.confirmed'
  | 'lead.approved'
  | 'lead.rejected'
  | 'lead.expired'
  | 'lead.erased'
  | 'lead.distributed'
  | 'lead.unsold'
  | 'lead.marked_bad';

/** An event of a lead. `version` is the row's after the change. */
export function leadEvent(
  type: LeadEventType,
  lead: { readonly id: string; readonly niche_id: string; readonly version: number },
  payload: Readonly<Record<string, unknown>> = {},
): EventDraft {
  return {
    stream: 'leads',
    type,
    aggregateType: 'lead',
    aggregateId: lead.id,
    aggregateVersion: lead.version,
    payload: { lead_id: lead.id, niche_id: lead.niche_id, ...payload },
  };
}
