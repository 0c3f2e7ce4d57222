import { prepared, type Queryable, type Sql, sql } from '@fmhl/ops';
import type { InboxQuery } from './contract.ts';

export interface ItemRow {
  id: string;
  lead_id: string;
  niche_slug: string;
  niche_name: string;
  level_id: string;
  level_name: string;
  price_cents: number;
  assigned_at: Date;
  /** `assigned_at` to the microsecond. */
  position: string;
  refunded_at: Date | null;
  name: string | null;
  email: string | null;
  phone: string | null;
  area_codes: string[];
  viewed_at: Date | null;
  decision: 'accepted' | 'declined' | null;
  decided_at: Date | null;
  report_status: 'pending' | 'approved' | 'rejected' | null;
  report_reason: string | null;
  reported_at: Date | null;
}

export interface DetailRow extends ItemRow {
  form: Record<string, unknown>;
  submitted_at: Date;
  report_until: Date;
  erased_at: Date | null;
  decline_reason: string | null;
}

const item = sql`
  a.id, a.lead_id, n.slug as niche_slug, n.name as niche_name, l.id as level_id, l.name as level_name, a.price_cents,
  a.assigned_at, a.assigned_at::text as position, a.refunded_at, p.name, p.email, p.phone_e164 as phone, p.area_codes,
  r.status as report_status, r.reason as report_reason, r.reported_at`;

const bought = sql`
  v_assignment a
  join v_level l on l.id = a.level_id
  join v_niche n on n.id = l.niche_id
  join v_lead_person p on p.lead_id = a.lead_id
  left join v_bad_lead_report r on r.assignment_id = a.id`;

/** Leads the provider bought, newest first, behind `after` (a moment and an id). */
export async function listBought(db: Queryable, providerId: string, filter: InboxFilter): Promise<ItemRow[]> {
  const { rows } = await db.query<ItemRow>(listStatement(providerId, filter));
  return rows;
}

export type InboxFilter = Omit<InboxQuery, 'cursor'> & { readonly after: readonly [string, string] | undefined };

/**
 * The page is found first, by what its filters ask alone, and looked up then: a search passes by every lead the provider bought, and each
 * table that it need not open counts that often.
 */
export function listStatement(providerId: string, filter: InboxFilter) {
  return prepared(
    'inbox',
    sql`
      with page as materialized (
        select a.id from v_assignment a
        ${filter.q ? sql`join v_lead_person p on p.lead_id = a.lead_id` : sql``}
        ${filter.status ? sql`left join inbox_mark m on m.assignment_id = a.id` : sql``}
        where a.provider_id = ${providerId}::uuid ${conditions(filter)}
        order by a.assigned_at desc, a.id desc
        limit ${filter.limit}::int)
      select ${item}, m.viewed_at, m.decision, m.decided_at
      from page join ${bought} on a.id = page.id left join inbox_mark m on m.assignment_id = a.id
      order by a.assigned_at desc, a.id desc`,
  );
}

function conditions({ after, status, niche, level, from, to, q }: InboxFilter): Sql {
  return sql`
    ${after ? sql`and (a.assigned_at, a.id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
    ${from ? sql`and a.assigned_at >= ${from}::timestamptz` : sql``}
    ${to ? sql`and a.assigned_at < ${to}::timestamptz` : sql``}
    ${niche ? sql`and a.level_id = any(array(select l.id from v_level l join v_niche n on n.id = l.niche_id where n.slug = ${niche}))` : sql``}
    ${level ? sql`and a.level_id = ${level}::uuid` : sql``}
    ${status ? sql`and coalesce(m.decision, case when m.viewed_at is null then 'new' else 'viewed' end) = ${status}` : sql``}
    ${q ? sql`and strpos(lower(concat_ws(' ', p.name, p.email, p.phone_e164)), lower(${q})) > 0` : sql``}`;
}

/** One bought lead, which counts as viewed from the first time it is read. Undefined when the provider did not buy it. */
export async function openBought(
  db: Queryable,
  providerId: string,
  assignmentId: string,
): Promise<DetailRow | undefined> {
  const { rows } = await db.query<DetailRow>(
    prepared(
      'inbox_open',
      sql`
        with own as (select id from v_assignment where id = ${assignmentId}::uuid and provider_id = ${providerId}::uuid),
        seen as (
          insert into inbox_mark (assignment_id, viewed_at) select id, clock_timestamp() from own
          where not exists (select from inbox_mark m where m.assignment_id = own.id and m.viewed_at is not null)
          on conflict (assignment_id) do update
          set viewed_at = excluded.viewed_at, version = inbox_mark.version + 1, updated_at = clock_timestamp()
          where inbox_mark.viewed_at is null
          returning assignment_id, viewed_at)
        select ${item}, p.form, p.created_at as submitted_at, p.erased_at,
               a.assigned_at + make_interval(days => n.report_window_days) as report_until, coalesce(m.viewed_at, seen.viewed_at) as viewed_at,
               m.decision, m.decided_at, m.decline_reason
        from own join ${bought} on a.id = own.id
        left join seen on seen.assignment_id = a.id
        left join inbox_mark m on m.assignment_id = a.id`,
    ),
  );
  return rows[0];
}

export interface Mark {
  decision: 'accepted' | 'declined';
  decided_at: Date;
  version: number;
}

interface CorrelatedWithLead {
  correlation_id: string;
}

/**
 * Writes a decision where there is none, and answers it with the correlation of the lead. Undefined when there is one, or when
 * the provider did not buy the lead.
 */
export async function insertDecision(
  tx: Queryable,
  decided: { assignmentId: string; providerId: string; decision: Mark['decision']; reason: string | undefined },
): Promise<(Mark & CorrelatedWithLead) | undefined> {
  const { rows } = await tx.query<Mark & CorrelatedWithLead>(sql`
    insert into inbox_mark (assignment_id, decision, decided_at, decline_reason)
    select id, ${decided.decision}, clock_timestamp(), ${decided.reason ?? null}
    from v_assignment where id = ${decided.assignmentId}::uuid and provider_id = ${decided.providerId}::uuid
    on conflict (assignment_id) do update
    set decision = excluded.decision, decided_at = excluded.decided_at, decline_reason = excluded.decline_reason,
        version = inbox_mark.version + 1, updated_at = clock_timestamp()
    where inbox_mark.decision is null
    returning decision, decided_at, version,
      (select l.correlation_id from v_assignment a join v_lead l on l.id = a.lead_id where a.id = assignment_id) as correlation_id`);
  return rows[0];
}

/** The decision on a lead the provider bought. */
export async function readDecision(tx: Queryable, assignmentId: string, providerId: string): Promise<Mark | undefined> {
  const { rows } = await tx.query<Mark>(sql`
    select m.decision, m.decided_at, m.version
    from v_assignment a join inbox_mark m on m.assignment_id = a.id
    where a.id = ${assignmentId}::uuid and a.provider_id = ${providerId}::uuid and m.decision is not null`);
  return rows[0];
}

export interface OwnProvider {
  id: string;
  status: 'pending' | 'active' | 'suspended' | 'closed';
  /** Their e-mail address. */
  verified: boolean;
}

/** The provider of a signed-in user. */
export async function readProvider(db: Queryable, userId: string): Promise<OwnProvider | undefined> {
  const { rows } = await db.query<OwnProvider>(
    prepared(
      'provider_of_user',
      sql`
        select p.id, p.status, u.email_verified_at is not null as verified
        from v_provider p join v_user u on u.id = p.user_id where p.user_id = ${userId}`,
    ),
  );
  return rows[0];
}
