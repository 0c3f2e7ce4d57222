import type { EventDraft } from '@fmhl/ops';
import type { Refund } from '../billing/index.ts';
import type { MailDraft } from '../email/index.ts';
import type { Resolved } from './queries.ts';

/** The event of a report; its aggregate is the report. */
export function reportedEvent(assignmentId: string, reason: string): EventDraft {
  return {
    stream: 'leads',
    type: 'bad_lead.reported',
    aggregateType: 'bad_lead_report',
    aggregateId: assignmentId,
    aggregateVersion: 1,
    payload: { assignment_id: assignmentId, reason },
  };
}

/** The event of a decision, of one that nobody had asked for too. */
export function decidedEvent({ assignment_id, version }: Resolved, outcome: 'approved' | 'rejected'): EventDraft {
  return {
    stream: 'leads',
    type: 'bad_lead.decided',
    aggregateType: 'bad_lead_report',
    aggregateId: assignment_id,
    aggregateVersion: version,
    payload: { assignment_id, outcome },
  };
}

/** Tells a provider what became of their report. */
export function approvedMail({ assignment_id, email, amount_cents, balance_cents }: Refund): MailDraft {
  return {
    template: 'bad_lead_decided',
    to: email,
    dedupeKey: `bad_lead_decided:${assignment_id}`,
    related: { type: 'assignment', id: assignment_id },
    variables: { assignment_id, outcome: 'approved', amount_cents, balance_after_cents: balance_cents },
  };
}

/** The same, when nothing comes back. */
export function rejectedMail(assignmentId: string, email: string): MailDraft {
  return {
    template: 'bad_lead_decided',
    to: email,
    dedupeKey: `bad_lead_decided:${assignmentId}`,
    related: { type: 'assignment', id: assignmentId },
    variables: { assignment_id: assignmentId, outcome: 'rejected', amount_cents: 0, balance_after_cents: null },
  };
}

/** Tells a provider of money that came back without their asking. */
export function refundedMail({ assignment_id, email, amount_cents, balance_cents }: Refund): MailDraft {
  return {
    template: 'lead_refunded',
    to: email,
    dedupeKey: `lead_refunded:${assignment_id}`,
    related: { type: 'assignment', id: assignment_id },
    variables: { assignment_id, amount_cents, balance_after_cents: balance_cents },
  };
}
