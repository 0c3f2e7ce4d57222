import { prepared, type Queryable, sql } from '@fmhl/ops';
import type { OwnReport, ReportRequest, ReportStatus } from './contract.ts';

export interface ReportRow {
  assignment_id: string;
  lead_id: string;
  reason: OwnReport['reason'];
  notes: string | null;
  status: ReportStatus;
  reported_at: Date;
  resolved_at: Date | null;
  refund_cents: number | null;
}

/** What a provider bought, with their report of it. */
export interface Reportable {
  lead_id: string;
  correlation_id: string;
  /** Until when a report is taken. */
  closes_at: Date;
  /** The standing report, also one without a reason: a refund that nobody asked for. */
  status: ReportStatus | null;
  reason: OwnReport['reason'] | null;
  notes: string | null;
  reported_at: Date | null;
  resolved_at: Date | null;
  refund_cents: number | null;
}

export async function readReportable(
  db: Queryable,
  { assignmentId, providerId }: { assignmentId: string; providerId: string },
): Promise<Reportable | undefined> {
  const { rows } = await db.query<Reportable>(sql`
    select a.lead_id, l.correlation_id, a.assigned_at + make_interval(days => n.report_window_days) as closes_at,
           r.status, r.reason, r.notes, r.reported_at, r.resolved_at,
           case when a.refunded_at is not null then a.price_cents end as refund_cents
    from v_assignment a
    join v_lead l on l.id = a.lead_id
    join v_niche n on n.id = l.niche_id
    left join bad_lead_report r on r.assignment_id = a.id
    where a.id = ${assignmentId}::uuid and a.provider_id = ${providerId}::uuid`);
  return rows[0];
}

/** Reports of one provider wait for each other, so that all are counted: locks the provider, and nothing after it but the report. */
export async function lockReporter(tx: Queryable, providerId: string): Promise<void> {
  await tx.query(sql`select from v_provider where id = ${providerId}::uuid for no key update`);
}

/** When the newest reports of a provider since `since` were made, newest first, `limit` at most. */
export async function recentReports(
  db: Queryable,
  { providerId, since, limit }: { providerId: string; since: Date; limit: number },
): Promise<Date[]> {
  const { rows } = await db.query<{ reported_at: Date }>(sql`
    select reported_at from bad_lead_report
    where provider_id = ${providerId}::uuid and reported_at > ${since}::timestamptz
    order by reported_at desc limit ${limit}::int`);
  return rows.map((row) => row.reported_at);
}

/** False when there is one already. */
export async function insertReport(
  tx: Queryable,
  {
    assignmentId,
    providerId,
    reason,
    notes,
    at,
  }: ReportRequest & { assignmentId: string; providerId: string; at: Date },
): Promise<boolean> {
  const { rowCount } = await tx.query(sql`
    insert into bad_lead_report (assignment_id, provider_id, reason, notes, status, via, reported_at)
    values (${assignmentId}, ${providerId}, ${reason}, ${notes ?? null}, 'pending', 'report', ${at})
    on conflict (assignment_id) do nothing`);
  return rowCount === 1;
}

/** A report that has just been decided. */
export interface Resolved {
  assignment_id: string;
  lead_id: string;
  provider_id: string;
  version: number;
  correlation_id: string;
}

const resolved = sql`
  returning assignment_id, provider_id, version,
    (select a.lead_id from v_assignment a where a.id = assignment_id) as lead_id,
    (select l.correlation_id from v_assignment a join v_lead l on l.id = a.lead_id where a.id = assignment_id) as correlation_id`;

/** Decides a pending report. Undefined when there is none. */
export async function resolvePending(
  tx: Queryable,
  {
    assignmentId,
    outcome,
    memo,
    by,
  }: { assignmentId: string; outcome: 'approved' | 'rejected'; memo: string; by: string },
): Promise<Resolved | undefined> {
  const { rows } = await tx.query<Resolved>(sql`
    update bad_lead_report
    set status = ${outcome}, resolved_by = ${by}, resolved_at = clock_timestamp(), memo = ${memo},
        version = version + 1, updated_at = clock_timestamp()
    where assignment_id = ${assignmentId}::uuid and status = 'pending' ${resolved}`);
  return rows[0];
}

/** Approves what is not approved yet of one assignment, or of all of a lead, reported or not. In the order of ids. */
export async function approveUnasked(
  tx: Queryable,
  {
    of,
    via,
    memo,
    by,
  }: {
    of: { assignmentId: string } | { leadId: string };
    via: 'mark_bad' | 'goodwill';
    memo: string;
    by: string;
  },
): Promise<Resolved[]> {
  const which = 'leadId' in of ? sql`a.lead_id = ${of.leadId}::uuid` : sql`a.id = ${of.assignmentId}::uuid`;
  const { rows } = await tx.query<Resolved>(sql`
    insert into bad_lead_report (assignment_id, provider_id, status, via, resolved_by, resolved_at, memo)
    select a.id, a.provider_id, 'approved', ${via}, ${by}, clock_timestamp(), ${memo}
    from v_assignment a where ${which} order by a.id
    on conflict (assignment_id) do update
    set status = 'approved', via = excluded.via, resolved_by = excluded.resolved_by, resolved_at = excluded.resolved_at,
        memo = excluded.memo, version = bad_lead_report.version + 1, updated_at = clock_timestamp()
    where bad_lead_report.status <> 'approved' ${resolved}`);
  return rows;
}

export async function readStatus(db: Queryable, assignmentId: string): Promise<ReportStatus | undefined> {
  const { rows } = await db.query<{ status: ReportStatus }>(
    sql`select status from bad_lead_report where assignment_id = ${assignmentId}::uuid`,
  );
  return rows[0]?.status;
}

export async function assignmentExists(db: Queryable, assignmentId: string): Promise<boolean> {
  const { rowCount } = await db.query(sql`select from v_assignment where id = ${assignmentId}::uuid`);
  return rowCount === 1;
}

/** Where a provider's mails go. */
export async function mailAddress(db: Queryable, providerId: string): Promise<string | undefined> {
  const { rows } = await db.query<{ email: string }>(
    sql`select email from v_provider_contact where provider_id = ${providerId}::uuid`,
  );
  return rows[0]?.email;
}

/** Reports of one provider, newest first, behind `after` (a moment and an id). */
export async function listOwnReports(
  db: Queryable,
  { providerId, after, limit }: { providerId: string; after: readonly [string, string] | undefined; limit: number },
): Promise<(ReportRow & { position: string })[]> {
  const { rows } = await db.query<ReportRow & { position: string }>(
    prepared(
      'own_reports',
      sql`
        select r.assignment_id, a.lead_id, r.reason, r.notes, r.status, r.reported_at, r.resolved_at,
               case when a.refunded_at is not null then a.price_cents end as refund_cents, r.created_at::text as position
        from bad_lead_report r join v_assignment a on a.id = r.assignment_id
        where r.provider_id = ${providerId}::uuid and r.reported_at is not null
          ${after ? sql`and (r.created_at, r.assignment_id) < (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
        order by r.created_at desc, r.assignment_id desc limit ${limit}::int`,
    ),
  );
  return rows;
}
