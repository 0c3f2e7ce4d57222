import { type Queryable, sql } from '@fmhl/ops';
import type { ProviderRecord } from './provider-card-contract.ts';

/** How far back a record looks. */
const days = 30;

interface RecordRow {
  serves: number;
  spent_cents: number;
  viewed: number;
  accepted: number;
  declined: number;
  refunded: number;
  reported: number;
  reports_pending: number;
  reports_approved: number;
  reports_rejected: number;
  peer_serves: number;
  peer_reported: number;
  shared_reports: number;
  agreed: number;
}

/** What a provider bought in the last 30 days and made of it, beside what other buyers made of the same leads. */
export async function readRecord(db: Queryable, providerId: string): Promise<ProviderRecord> {
  const { rows } = await db.query<RecordRow>(recordStatement(providerId));
  const row = rows[0] as RecordRow;
  const { reports_rejected, peer_serves, peer_reported, shared_reports, agreed, ...own } = row;
  return {
    days,
    ...own,
    report_rate: shareOf(row.reported, row.serves),
    approval_rate: shareOf(row.reports_approved, row.reports_approved + reports_rejected),
    peers: {
      serves: peer_serves,
      reported: peer_reported,
      report_rate: shareOf(peer_reported, peer_serves),
      shared_reports,
      agreed,
    },
  };
}

/** Follows the buyer's index, and from each sale the lead's own: what others bought is never read as a whole. */
export function recordStatement(providerId: string) {
  return sql`
    with own as materialized (
      select a.lead_id, a.price_cents, a.refunded_at is not null as refunded, m.viewed_at is not null as viewed, m.decision,
             r.reported_at is not null as reported, r.status as report
      from v_assignment a
      left join v_inbox_mark m on m.assignment_id = a.id
      left join v_bad_lead_report r on r.assignment_id = a.id
      where a.provider_id = ${providerId}::uuid and a.assigned_at > now() - ${days}::int * interval '1 day'),
    beside as (
      select o.reported, p.serves, p.reports
      from own o cross join lateral (
        select count(*) as serves, count(r.reported_at) as reports
        from v_assignment x left join v_bad_lead_report r on r.assignment_id = x.id
        where x.lead_id = o.lead_id and x.provider_id <> ${providerId}::uuid) p)
    select o.*, p.*
    from (select count(*)::int as serves, coalesce(sum(price_cents), 0)::bigint as spent_cents,
                 count(*) filter (where viewed)::int as viewed,
                 count(*) filter (where decision = 'accepted')::int as accepted,
                 count(*) filter (where decision = 'declined')::int as declined,
                 count(*) filter (where refunded)::int as refunded,
                 count(*) filter (where reported)::int as reported,
                 count(*) filter (where reported and report = 'pending')::int as reports_pending,
                 count(*) filter (where reported and report = 'approved')::int as reports_approved,
                 count(*) filter (where reported and report = 'rejected')::int as reports_rejected
          from own) o,
         (select coalesce(sum(serves), 0)::int as peer_serves, coalesce(sum(reports), 0)::int as peer_reported,
                 count(*) filter (where reported and serves > 0)::int as shared_reports,
                 count(*) filter (where reported and reports > 0)::int as agreed
          from beside) p`;
}

function shareOf(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 10_000) / 10_000;
}
