import { type Actor, adoptCorrelation, appendEvents, audit, type EventDraft, sql, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Keys } from '../../keys.ts';
import type { Log } from '../../log.ts';
import { eraseMails } from '../email/index.ts';
import { underLead } from './correlation.ts';
import { readEraseToken } from './erase-token.ts';
import { leadEvent } from './lead-events.ts';

/** The person of a lead, who acts by a mailed link. */
const consumer: Actor = { id: 'consumer', name: 'consumer', via: 'http' };

export interface Erased {
  readonly id: string;
  readonly erasedAt: Date;
  /** False when it was erased before. */
  readonly changed: boolean;
}

export interface EraseDeps {
  readonly log: Log;
  /** Removes what features above this one know of the person, in the same transaction. */
  readonly eraseBeside?: (tx: Tx, leadId: string) => Promise<void>;
}

/** Erases the lead of a mailed link; again: the same answer. Refuses `not_found` for a token we did not make. */
export async function eraseByToken(tx: Tx, token: string, deps: EraseDeps & { keys: Keys }): Promise<Erased> {
  const leadId = readEraseToken(deps.keys, token);
  if (leadId === undefined) throw refuse('not_found');
  return eraseLead(tx, { leadId, actor: consumer }, deps);
}

interface LeadRow {
  id: string;
  niche_id: string;
  version: number;
  correlation_id: string;
  erased_at: Date | null;
  /** Nobody has bought it, and now nobody will. */
  ends: boolean;
}

/**
 * Removes what tells of a lead's person: from the lead and from its mails, of which those that wait are not sent. A lead that nobody has
 * bought ends `rejected`; what was sold, paid and agreed to stays. Refuses `not_found`.
 */
export async function eraseLead(
  tx: Tx,
  { leadId, actor, memo }: { leadId: string; actor: Actor; memo?: string },
  { log, eraseBeside }: EraseDeps,
): Promise<Erased> {
  const lead = await lockLead(tx, leadId);
  if (lead.erased_at) return { id: leadId, erasedAt: lead.erased_at, changed: false };
  const erasedAt = await nullPerson(tx, lead, actor);
  const mails = await eraseMails(tx, { type: 'lead', id: leadId });
  await eraseBeside?.(tx, leadId);
  adoptCorrelation(lead.correlation_id);
  return underLead(lead.correlation_id, async () => {
    const details = { mails, ended: lead.ends };
    await audit(tx, { actor, action: 'lead.erased', targetType: 'lead', targetId: leadId, reason: memo, details });
    await appendEvents(tx, eventsOf(lead));
    tx.wake('events');
    tx.afterCommit(() => log.info('lead_erased', { lead_id: leadId, ended: lead.ends }));
    return { id: leadId, erasedAt, changed: true };
  });
}

/** A sale holds this lock until its commit: it is over, or will find a lead that is not for sale. */
async function lockLead(tx: Tx, leadId: string): Promise<LeadRow> {
  const { rows } = await tx.query<LeadRow>(sql`
    select id, niche_id, version, correlation_id, erased_at,
           status in ('pending_confirmation', 'pending_approval', 'approved', 'unsold') and assigned_count = 0 as ends
    from lead where id = ${leadId} for no key update`);
  const [lead] = rows;
  if (!lead) throw refuse('not_found');
  return lead;
}

/** The areas stay, which are regions, and so does the source: reports are made of them. */
async function nullPerson(tx: Tx, { id, ends }: LeadRow, actor: Actor): Promise<Date> {
  const { rows } = await tx.query<{ erased_at: Date }>(sql`
    update lead
    set name = null, email = null, email_norm = null, phone_e164 = null, form = '{}', utm = null, ip = null, request_sha256 = null,
        erased_at = clock_timestamp(), updated_at = clock_timestamp(), version = version + ${ends ? 2 : 1}::int
        ${ends ? sql`, status = 'rejected', rejected_by = ${actor.id}, rejected_at = clock_timestamp(), reject_reason = 'erased', next_try_at = null` : sql``}
    where id = ${id} returning erased_at`);
  const [row] = rows;
  if (!row) throw new Error('a locked lead has vanished');
  return row.erased_at;
}

function eventsOf(lead: LeadRow): EventDraft[] {
  const next = (by: number) => ({ ...lead, version: lead.version + by });
  if (!lead.ends) return [leadEvent('lead.erased', next(1))];
  return [leadEvent('lead.rejected', next(1), { reason: 'erased' }), leadEvent('lead.erased', next(2))];
}
