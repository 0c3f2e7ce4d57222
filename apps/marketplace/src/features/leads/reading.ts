import { join, type Queryable, type Sql, sql } from '@fmhl/ops';
import type { z } from 'zod';
import { maskEmail } from '../../email-address.ts';
import { refuse } from '../../errors.ts';
import { cutPage, decodeCursor, momentCursor } from '../../paging.ts';
import type { LeadQuery, LeadStatus, leadDetail, leadItem, leadList } from './contract.ts';

type LeadItem = z.infer<typeof leadItem>;
type LeadDetail = z.infer<typeof leadDetail>;

/** What distribution knows of a lead. */
export type ReadSales = (
  db: Queryable,
  leadId: string,
) => Promise<{
  readonly runs: readonly unknown[];
  readonly assignments: readonly unknown[];
  /** There are more runs. */
  readonly truncated: boolean;
}>;

/** Of the duplicates and mails of one lead. */
const shownAtMost = 50;

interface ItemRow {
  id: string;
  niche_id: string;
  niche_slug: string;
  niche_name: string;
  status: LeadStatus;
  email: string | null;
  source: string | null;
  campaign: string | null;
  is_test: boolean;
  duplicate_of: string | null;
  risk_flags: string[];
  created_at: Date;
  /** Postgres's own text, for the cursor. */
  created_text: string;
  confirmed_at: Date | null;
  erased_at: Date | null;
  age_seconds: number;
  assigned_count: number;
  recipient_cap: number | null;
}

const itemColumns = sql`
  l.id, l.niche_id, n.slug as niche_slug, n.name as niche_name, l.status, l.email, l.source, l.campaign, l.is_test, l.duplicate_of,
  l.risk_flags, l.created_at, l.created_at::text as created_text, l.confirmed_at, l.erased_at,
  extract(epoch from clock_timestamp() - l.created_at)::int as age_seconds, l.assigned_count, l.recipient_cap`;

/** One page of leads: those that wait for something oldest first, others newest first. */
export async function listLeads(db: Queryable, query: LeadQuery): Promise<z.infer<typeof leadList>> {
  const { limit } = query;
  const { rows } = await db.query<ItemRow>(pageQuery(query));
  return cutPage(rows, limit, {
    item: (row) => ({ ...viewItem(row), email_masked: row.email && maskEmail(row.email) }),
    cursor: (row) => [row.created_text, row.id],
  });
}

/** Reads one row more than the page has. Each list follows an index: of its state, its source or its niche, of flagged leads, or of all. */
export function pageQuery(query: LeadQuery): Sql {
  const { limit, cursor, status } = query;
  const oldestFirst = status === 'pending_confirmation' || status === 'pending_approval';
  const direction = oldestFirst ? sql`asc` : sql`desc`;
  const conditions = [...filters(query), ...(cursor === undefined ? [] : [afterCursor(cursor, oldestFirst)])];
  return sql`
    select ${itemColumns} from lead l join v_niche n on n.id = l.niche_id
    ${conditions.length > 0 ? sql`where ${join(conditions, ' and ')}` : sql``}
    order by l.created_at ${direction}, l.id ${direction}
    limit ${limit + 1}`;
}

function filters({ status, niche, source, flag, age }: LeadQuery): Sql[] {
  return [
    status === undefined ? undefined : sql`l.status = ${status}`,
    niche === undefined
      ? undefined
      : sql`l.niche_id = (select id from v_niche where slug = ${niche}) and l.confirm_nonce > 0`,
    source === undefined ? undefined : sql`l.source = ${source}`,
    flag === undefined ? undefined : sql`l.risk_flags <> '{}' and ${flag} = any(l.risk_flags)`,
    age === undefined ? undefined : sql`l.created_at <= now() - ${age}::int * interval '1 second'`,
  ].filter((condition) => condition !== undefined);
}

function afterCursor(cursor: string, oldestFirst: boolean): Sql {
  const [createdAt, id] = decodeCursor(cursor, momentCursor);
  const position = sql`(${createdAt}::timestamptz, ${id}::uuid)`;
  return oldestFirst ? sql`(l.created_at, l.id) > ${position}` : sql`(l.created_at, l.id) < ${position}`;
}

function viewItem({
  niche_id,
  niche_slug,
  niche_name,
  created_text: _text,
  email: _email,
  ...row
}: ItemRow): Omit<LeadItem, 'email_masked'> {
  return {
    id: row.id,
    niche: { id: niche_id, slug: niche_slug, name: niche_name },
    status: row.status,
    source: row.source,
    campaign: row.campaign,
    is_test: row.is_test,
    duplicate_of: row.duplicate_of,
    risk_flags: row.risk_flags,
    created_at: row.created_at.toISOString(),
    confirmed_at: iso(row.confirmed_at),
    erased_at: iso(row.erased_at),
    age_seconds: row.age_seconds,
    assigned_count: row.assigned_count,
    recipient_cap: row.recipient_cap,
  };
}

interface DetailRow extends ItemRow {
  name: string | null;
  phone: string | null;
  area_codes: string[];
  form: Record<string, unknown>;
  utm: Record<string, string> | null;
  ip: string | null;
  correlation_id: string;
  approved_by: string | null;
  approved_at: Date | null;
  rejected_by: string | null;
  rejected_at: Date | null;
  reject_reason: string | null;
  sale_no: number;
  start_ord: number | null;
  distributed_at: Date | null;
  unsold_tries: number;
  next_try_at: Date | null;
  sale_verdict: 'in_time' | 'late' | null;
  bad_by: string | null;
  bad_at: Date | null;
  bad_memo: string | null;
  version: number;
}

/** A lead with its person and everything known about it. Refuses `not_found`. */
export async function readLeadDetail(db: Queryable, leadId: string, readSales: ReadSales): Promise<LeadDetail> {
  const { rows } = await db.query<DetailRow>(sql`
    select ${itemColumns}, l.name, l.phone_e164 as phone, l.area_codes, l.form, l.utm, host(l.ip) as ip, l.correlation_id,
           l.approved_by, l.approved_at, l.rejected_by, l.rejected_at, l.reject_reason, l.sale_no, l.start_ord, l.distributed_at,
           l.unsold_tries, l.next_try_at, l.sale_verdict, l.bad_by, l.bad_at, l.bad_memo, l.version
    from lead l join v_niche n on n.id = l.niche_id where l.id = ${leadId}`);
  const row = rows[0];
  if (!row) throw refuse('not_found');
  const consent = await readConsent(db, leadId);
  const duplicates = await readDuplicates(db, row);
  const mails = await readMails(db, leadId);
  const sales = await readSales(db, leadId);
  return {
    ...viewDetail(row),
    consent,
    duplicates: duplicates.slice(0, shownAtMost),
    mails: mails.slice(0, shownAtMost),
    runs: [...sales.runs],
    assignments: [...sales.assignments],
    truncated: sales.truncated || duplicates.length > shownAtMost || mails.length > shownAtMost,
  };
}

function viewDetail(row: DetailRow) {
  const { name, email, phone, area_codes, form, utm, ip, correlation_id, version } = row;
  const { approved_by, rejected_by, reject_reason, sale_no, start_ord, unsold_tries, sale_verdict } = row;
  const person = { name, email, phone, area_codes, form, utm, ip, correlation_id, version };
  const life = { approved_by, rejected_by, reject_reason, sale_no, start_ord, unsold_tries, sale_verdict };
  return {
    ...viewItem(row),
    ...person,
    ...life,
    approved_at: iso(row.approved_at),
    rejected_at: iso(row.rejected_at),
    distributed_at: iso(row.distributed_at),
    next_try_at: iso(row.next_try_at),
    bad_by: row.bad_by,
    bad_at: iso(row.bad_at),
    bad_memo: row.bad_memo,
  };
}

function iso(at: Date | null): string | null {
  return at && at.toISOString();
}

async function readConsent(db: Queryable, leadId: string): Promise<LeadDetail['consent']> {
  type Row = Omit<NonNullable<LeadDetail['consent']>, 'consented_at'> & { consented_at: Date };
  const { rows } = await db.query<Row>(sql`
    select text_version, text_sha256, page_url, host(ip) as ip, user_agent, consented_at
    from lead_consent where lead_id = ${leadId}`);
  const row = rows[0];
  return row ? { ...row, consented_at: row.consented_at.toISOString() } : null;
}

/** The lead it repeats, and those that repeat it. */
async function readDuplicates(db: Queryable, { id, duplicate_of }: ItemRow): Promise<LeadDetail['duplicates']> {
  const { rows } = await db.query<{ id: string; status: LeadStatus; created_at: Date }>(sql`
    select id, status, created_at from lead where id = ${duplicate_of} or duplicate_of = ${id} order by created_at, id
    limit ${shownAtMost + 1}`);
  return rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() }));
}

async function readMails(db: Queryable, leadId: string): Promise<LeadDetail['mails']> {
  type Row = Omit<LeadDetail['mails'][number], 'created_at' | 'sent_at'> & { created_at: Date; sent_at: Date | null };
  const { rows } = await db.query<Row>(sql`
    select id, template, status, attempts, smtp_code, created_at, sent_at from v_email
    where related_type = 'lead' and related_id = ${leadId} order by created_at, id limit ${shownAtMost + 1}`);
  return rows.map((row) => ({ ...row, created_at: row.created_at.toISOString(), sent_at: iso(row.sent_at) }));
}
