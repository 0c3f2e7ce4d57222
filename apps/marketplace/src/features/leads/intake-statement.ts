import { eventsInsert, type LogContext, prepared, type Queryable, sql } from '@fmhl/ops';
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
  readonly context: LogContext;
}

/** What is told of a lead that was stored. */
export interface StoredLead {
  readonly id: string;
  /** The niche knew the person. */
  readonly duplicate: boolean;
}

/** How long a confirmation link is good. */
export const confirmWithin = sql`interval '24 hours'`;

/**
 * Stores leads with their consents, their confirmation mails and the mails' jobs, and their events: one statement, so one commit.
 * Answers those it stored: not the ones whose idempotency key their niche knows, nor those of a blocked source. Give them in the order of their keys, as every
 * statement must meet the keys of another in the same order.
 */
export async function insertLeads(db: Queryable, leads: readonly NewLead[]): Promise<StoredLead[]> {
  const { rows } = await db.query<StoredLead>(
    prepared(
      'submit_leads',
      sql`
    with draft as (${drafts(leads)}),
    new_lead as (${leadInsert}),
    new_consent as (${consentInsert}),
    ${mailParts(leads.map(firstMail), sql`from new_lead l where l.id = m.related_id`)},
    told as (${submittedEvents(leads)})
    select id, duplicate_of is not null as duplicate from new_lead`,
    ),
  );
  return rows;
}

/** All leads are one parameter, so that the text does not depend on their number and is planned once. */
function drafts(leads: readonly NewLead[]) {
  return sql`
    select * from json_to_recordset(${JSON.stringify(draftsOf(leads))}) as d(
      id uuid, niche_id uuid, dedup_days int, name text, email text, email_norm text, phone_e164 text, area_codes text[],
      form jsonb, source text, campaign text, utm jsonb, ip inet, same_ip_before int, is_test boolean, disposable boolean,
      idempotency_key text, request_sha256 text, correlation_id text,
      text_version int, text_sha256 text, page_url text, user_agent text)`;
}

function draftsOf(leads: readonly NewLead[]) {
  const ofIp = new Map<string, number>();
  return leads.map(({ niche, context, emailNorm, phoneE164, ...lead }) => {
    const before = ofIp.get(lead.ip) ?? 0;
    ofIp.set(lead.ip, before + 1);
    return {
      id: lead.id,
      niche_id: niche.id,
      dedup_days: niche.dedupDays,
      name: lead.name,
      email: lead.email,
      email_norm: emailNorm,
      phone_e164: phoneE164,
      area_codes: lead.areaCodes,
      form: lead.form,
      source: lead.source,
      campaign: lead.campaign,
      utm: lead.utm,
      ip: lead.ip,
      same_ip_before: before,
      is_test: lead.isTest,
      disposable: lead.disposable,
      idempotency_key: lead.idempotencyKey,
      request_sha256: lead.requestSha256,
      correlation_id: context.correlationId,
      text_version: niche.consentVersion,
      text_sha256: niche.consentSha256,
      page_url: lead.pageUrl,
      user_agent: lead.userAgent,
    };
  });
}

/**
 * The latest lead of the same person in the niche, if it is recent. The newest of each lookup is taken first and judged then: with
 * the age inside, Postgres would plan the whole statement anew for each value, which costs more than to run it.
 */
const earlierLead = sql`
  select id from (
    (select id, created_at from lead where niche_id = d.niche_id and email_norm = d.email_norm order by created_at desc limit 1)
    union all
    (select id, created_at from lead where niche_id = d.niche_id and phone_e164 = d.phone_e164 order by created_at desc limit 1)) seen
  where created_at > now() - d.dedup_days * interval '1 day'
  order by created_at desc limit 1`;

/** From the fifth lead of one address in an hour on, each is flagged: the fourth newest before it tells, the batch included. */
const isOneOfMany = sql`
  (d.same_ip_before >= 4 or
   (select created_at from lead where ip = d.ip order by created_at desc offset greatest(3 - d.same_ip_before, 0) limit 1)
     > now() - interval '1 hour')`;

/** A subselect rather than NOT EXISTS, which may become a join that changes the order of the leads. */
const isTakenIn = sql`
  (select true from lead_source b where b.source = d.source and b.blocked_at is not null limit 1) is null`;

const leadInsert = sql`
  insert into lead (id, niche_id, name, email, email_norm, phone_e164, area_codes, form, source, campaign, utm, ip, is_test,
                    duplicate_of, risk_flags, idempotency_key, request_sha256, correlation_id, confirm_expires_at)
  select d.id, d.niche_id, d.name, d.email, d.email_norm, d.phone_e164, d.area_codes, d.form, d.source, d.campaign, d.utm, d.ip,
         d.is_test, earlier.id,
         array_remove(array[
           case when earlier.id is not null then 'duplicate' end,
           case when d.disposable then 'disposable' end,
           case when ${isOneOfMany} then 'ip_many' end], null),
         d.idempotency_key, d.request_sha256, d.correlation_id, clock_timestamp() + ${confirmWithin}
  from draft d left join lateral (${earlierLead}) earlier on true
  where ${isTakenIn}
  on conflict (niche_id, idempotency_key) where idempotency_key is not null do nothing
  returning id, duplicate_of`;

const consentInsert = sql`
  insert into lead_consent (lead_id, text_version, text_sha256, page_url, ip, user_agent)
  select d.id, d.text_version, d.text_sha256, d.page_url, d.ip, d.user_agent from draft d join new_lead using (id)`;

/** Only the statement itself learns whether a lead is a duplicate, so it chooses between two events of each. */
function submittedEvents(leads: readonly NewLead[]) {
  const events = leads.flatMap(({ id, niche, isTest, context }) =>
    [false, true].map((duplicate) => ({
      ...leadEvent('lead.submitted', { id, niche_id: niche.id, version: 1 }, { duplicate, is_test: isTest }),
      context,
    })),
  );
  return eventsInsert(
    events,
    sql`from new_lead l
        where l.id = e.aggregate_id::uuid and (l.duplicate_of is not null) = (e.payload ->> 'duplicate')::boolean`,
  );
}

function firstMail({ id, email, niche, context }: NewLead) {
  return { ...confirmMail(id, 1, email, niche.name), context };
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
