import { eventsInsert, prepared, type Queryable, sql } from '@fmhl/ops';
import { mailParts } from '../email/index.ts';
import { leadEvent } from './lead-events.ts';

/** A lead as the intake stores it. */
export interface NewLead {
  readonly id: string;
  readonly niche: {
    readonly id: string;
    readonly name: string;
    readonly consentVersion: number;
    readonly consentSha256: string;
    readonly dedupDays: number;
  };
  readonly name: string;
  readonly email: string;
  readonly emailNorm: string;
  readonly phoneE164: string | null;
  readonly areaCodes: readonly string[];
  readonly form: Readonly<Record<string, unknown>>;
  readonly source: string | null;
  readonly campaign: string | null;
  readonly utm: Readonly<Record<string, string | undefined>> | null;
  readonly ip: string;
  readonly pageUrl: string | null;
  readonly userAgent: string | null;
  readonly isTest: boolean;
  readonly disposable: boolean;
  readonly idempotencyKey: string | null;
  readonly requestSha256: string | null;
  readonly correlationId: string;
}

/** How long a confirmation link is good. */
export const confirmWithin = sql`interval '24 hours'`;

/**
 * Stores a lead with its consent, its confirmation mail and the mail's job, and its event: one statement, so one commit.
 * Answers undefined when a lead of this niche holds the idempotency key; then nothing was stored.
 */
export async function insertLead(db: Queryable, lead: NewLead): Promise<{ duplicate: boolean } | undefined> {
  const { rows } = await db.query<{ duplicate: boolean }>(
    prepared(
      'submit_lead',
      sql`
    with ${earlierLead(lead)},
    new_lead as (${leadInsert(lead)}),
    new_consent as (${consentInsert(lead)}),
    ${mailParts([confirmMail(lead.id, 1, lead.email, lead.niche.name)], sql`from new_lead`)},
    told_first as (${submittedEvent(lead, false)}),
    told_duplicate as (${submittedEvent(lead, true)})
    select duplicate_of is not null as duplicate from new_lead`,
    ),
  );
  return rows[0];
}

/**
 * The latest lead of the same person in the niche, if it is recent. The newest of each lookup is taken first and judged then: with
 * the age inside, Postgres would plan the whole statement anew for each value, which costs more than to run it.
 */
function earlierLead({ niche, emailNorm, phoneE164 }: NewLead) {
  const newest = sql`order by created_at desc limit 1`;
  return sql`
    earlier as (
      select id from (
        (select id, created_at from lead where niche_id = ${niche.id} and email_norm = ${emailNorm} ${newest})
        union all
        (select id, created_at from lead where niche_id = ${niche.id} and phone_e164 = ${phoneE164} ${newest})) seen
      where created_at > now() - ${niche.dedupDays}::int * interval '1 day'
      order by created_at desc limit 1)`;
}

/** From the fifth lead of one address in an hour on, each is flagged: the fourth newest tells. */
function isOneOfMany({ ip }: NewLead) {
  return sql`
    (select created_at from lead where ip = ${ip}::inet order by created_at desc offset 3 limit 1) > now() - interval '1 hour'`;
}

function leadInsert(lead: NewLead) {
  return sql`
    insert into lead (id, niche_id, name, email, email_norm, phone_e164, area_codes, form, source, campaign, utm, ip, is_test,
                      duplicate_of, risk_flags, idempotency_key, request_sha256, correlation_id, confirm_expires_at)
    select ${lead.id}, ${lead.niche.id}, ${lead.name}, ${lead.email}, ${lead.emailNorm}, ${lead.phoneE164}, ${lead.areaCodes},
           ${JSON.stringify(lead.form)}, ${lead.source}, ${lead.campaign}, ${lead.utm && JSON.stringify(lead.utm)}, ${lead.ip},
           ${lead.isTest}, (select id from earlier),
           array_remove(array[
             case when exists (select from earlier) then 'duplicate' end,
             ${lead.disposable ? 'disposable' : null}::text,
             case when ${isOneOfMany(lead)} then 'ip_many' end], null),
           ${lead.idempotencyKey}, ${lead.requestSha256}, ${lead.correlationId}, clock_timestamp() + ${confirmWithin}
    on conflict (niche_id, idempotency_key) where idempotency_key is not null do nothing
    returning id, duplicate_of`;
}

function consentInsert({ niche, pageUrl, ip, userAgent }: NewLead) {
  return sql`
    insert into lead_consent (lead_id, text_version, text_sha256, page_url, ip, user_agent)
    select id, ${niche.consentVersion}, ${niche.consentSha256}, ${pageUrl}, ${ip}, ${userAgent} from new_lead`;
}

/** Only the statement itself learns whether the lead is a duplicate, so it chooses between two events. */
function submittedEvent({ id, niche, isTest }: NewLead, duplicate: boolean) {
  const event = leadEvent('lead.submitted', { id, niche_id: niche.id, version: 1 }, { duplicate, is_test: isTest });
  return eventsInsert(
    [event],
    duplicate ? sql`from new_lead where duplicate_of is not null` : sql`from new_lead where duplicate_of is null`,
  );
}

/** The mail that asks for the click. Its token is made from lead and nonce when it is sent. */
export function confirmMail(leadId: string, nonce: number, to: string, nicheName: string) {
  return {
    template: 'lead_confirm' as const,
    variables: { lead_id: leadId, nonce, niche_name: nicheName },
    to,
    dedupeKey: `confirm:${leadId}:${nonce}`,
    related: { type: 'lead', id: leadId },
  };
}
