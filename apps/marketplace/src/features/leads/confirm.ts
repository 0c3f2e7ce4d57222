import { adoptCorrelation, appendEvents, type Database, prepared, type Queryable, sql, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Keys } from '../../keys.ts';
import type { Log } from '../../log.ts';
import { queueMail } from '../email/index.ts';
import { type ConfirmClaim, readConfirmToken } from './confirm-token.ts';
import { underLead } from './correlation.ts';
import { confirmMail, confirmWithin } from './intake-statement.ts';
import { leadEvent, leadEventsOf } from './lead-events.ts';

/**
 * Takes the click on a confirmation link; again: the same answer. Refuses `not_found` for a token we did not make, `expired`
 * for a link that is too old or was voided by a newer one. State and event are one statement; a transaction does for `db` too.
 */
export async function confirmLead(
  db: Pick<Database, 'query' | 'wake'>,
  token: string,
  deps: { keys: Keys; log: Log },
): Promise<{ id: string }> {
  const claim = readConfirmToken(deps.keys, token);
  if (!claim) throw refuse('not_found');
  const lead = await takeConfirmation(db, claim);
  if (!lead) return readConfirmed(db, claim);
  adoptCorrelation(lead.correlation_id);
  db.wake('events');
  deps.log.withCorrelation(lead.correlation_id).info('lead_confirmed', { lead_id: lead.id });
  return { id: lead.id };
}

interface LeadRow {
  id: string;
  niche_id: string;
  version: number;
  correlation_id: string;
}

/** Looks for an earlier lead of the person once more: two submissions at the same moment do not see each other. */
async function takeConfirmation(db: Queryable, { leadId, nonce }: ConfirmClaim) {
  const { rows } = await db.query<{ id: string; correlation_id: string }>(
    prepared(
      'confirm_lead',
      sql`
        with confirmed as (
          update lead l
          set status = 'pending_approval', confirmed_at = clock_timestamp(), updated_at = clock_timestamp(), version = l.version + 1,
              duplicate_of = coalesce(l.duplicate_of, earlier.id),
              risk_flags = case when l.duplicate_of is null and earlier.id is not null then array_prepend('duplicate', l.risk_flags)
                                else l.risk_flags end
          from (select c.id as lead_id, e.id
                from lead c
                join v_niche n on n.id = c.niche_id
                left join lateral (
                  select e.id from (
                    (select o.id, o.created_at from lead o where o.niche_id = c.niche_id and o.email_norm = c.email_norm
                       and o.created_at < c.created_at and o.created_at > c.created_at - n.dedup_days * interval '1 day'
                     order by o.created_at desc limit 1)
                    union all
                    (select o.id, o.created_at from lead o where o.niche_id = c.niche_id and o.phone_e164 = c.phone_e164
                       and o.created_at < c.created_at and o.created_at > c.created_at - n.dedup_days * interval '1 day'
                     order by o.created_at desc limit 1)) e
                  order by e.created_at desc limit 1) e on true
                where c.id = ${leadId}) earlier
          where l.id = earlier.lead_id and l.status = 'pending_confirmation' and l.confirm_nonce = ${nonce}
            and l.confirm_expires_at > clock_timestamp()
          returning l.id, l.niche_id, l.version, l.correlation_id),
        ${leadEventsOf('lead.confirmed', sql`confirmed`)}
        select id, correlation_id from confirmed`,
    ),
  );
  return rows[0];
}

async function readConfirmed(db: Queryable, { leadId, nonce }: ConfirmClaim): Promise<{ id: string }> {
  const { rows } = await db.query<{ confirmed: boolean; correlation_id: string }>(sql`
    select confirmed_at is not null and confirm_nonce = ${nonce} as confirmed, correlation_id from lead where id = ${leadId}`);
  const lead = rows[0];
  if (!lead) throw refuse('not_found');
  if (!lead.confirmed) throw refuse('expired');
  adoptCorrelation(lead.correlation_id);
  return { id: leadId };
}

/** Mails a new link, which voids the older ones; at most three times a lead. Does nothing, silently, where that is not possible. */
export async function resendConfirmation(tx: Tx, leadId: string): Promise<void> {
  const { rows } = await tx.query<{
    email: string;
    confirm_nonce: number;
    niche_name: string;
    correlation_id: string;
  }>(sql`
    update lead l
    set confirm_nonce = l.confirm_nonce + 1, confirm_expires_at = clock_timestamp() + ${confirmWithin}, updated_at = clock_timestamp()
    from v_niche n
    where l.id = ${leadId} and n.id = l.niche_id and l.status = 'pending_confirmation' and l.confirm_nonce <= 3
      and l.email is not null and l.confirm_expires_at > clock_timestamp()
    returning l.email, l.confirm_nonce, n.name as niche_name, l.correlation_id`);
  const lead = rows[0];
  if (!lead) return;
  adoptCorrelation(lead.correlation_id);
  await underLead(lead.correlation_id, () =>
    queueMail(tx, confirmMail(leadId, lead.confirm_nonce, lead.email, lead.niche_name)),
  );
}

/** Ends the leads whose link nobody clicked in time, oldest first, and answers how many. For a loop. */
export async function expireUnconfirmed(
  tx: Tx,
  { now, limit }: { now: Date; limit: number },
  { log }: { log: Log },
): Promise<number> {
  const { rows } = await tx.query<LeadRow>(sql`
    update lead l set status = 'expired', updated_at = clock_timestamp(), version = l.version + 1
    where l.id in (
      select id from lead where status = 'pending_confirmation' and created_at <= ${now} and confirm_expires_at <= ${now}
      order by created_at limit ${limit} for no key update skip locked)
    returning l.id, l.niche_id, l.version, l.correlation_id`);
  for (const lead of rows) {
    await underLead(lead.correlation_id, () => appendEvents(tx, [leadEvent('lead.expired', lead)]));
    tx.afterCommit(() => log.withCorrelation(lead.correlation_id).info('lead_expired', { lead_id: lead.id }));
  }
  if (rows.length > 0) tx.wake('events');
  return rows.length;
}
