import { type EventDraft, eventsOf, type Sql, sql } from '@fmhl/ops';

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

/**
 * The events of leads that a statement changes, as the CTEs `lead_event` and `told`. `changed` names the CTE of those leads, with their
 * id, niche_id, version (the row's after the change) and correlation_id.
 */
export function leadEventsOf(type: LeadEventType, changed: Sql): Sql {
  return sql`
    lead_event as (
      select c.id as aggregate_id, c.version as aggregate_version, c.correlation_id,
             jsonb_build_object('lead_id', c.id, 'niche_id', c.niche_id) as payload
      from ${changed} c),
    told as (${eventsOf(sql`lead_event`, { stream: 'leads', type, aggregateType: 'lead' })})`;
}
