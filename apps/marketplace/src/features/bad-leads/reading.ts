import { prepared, type Queryable, type Sql, sql } from '@fmhl/ops';
import { cutPage, decodeCursor, momentCursor } from '../../paging.ts';
import type { BadLead, BadLeadQuery } from './contract.ts';
import { historyOf, noReports, type ReportCounts } from './reporter-flags.ts';

interface BadLeadRow
  extends Omit<
    BadLead,
    'niche' | 'provider' | 'assigned_at' | 'refunded_at' | 'reported_at' | 'resolved_at' | 'peers'
  > {
  niche_slug: string;
  niche_name: string;
  provider_id: string;
  company: string;
  assigned_at: Date;
  refunded_at: Date | null;
  reported_at: Date | null;
  resolved_at: Date | null;
  buyers: number;
  peers_reported: number;
  peers_approved: number;
  position: string;
}

/** One page of reports, and of refunds that nobody had asked for: pending ones oldest first, all others newest first. */
export async function listBadLeads(db: Queryable, { limit, cursor, ...filter }: BadLeadQuery, now: Date) {
  const after = decodeCursor(cursor, momentCursor);
  const rows = await readPage(db, { ...filter, after, limit: limit + 1 });
  const counts = await readReportCounts(db, { providerIds: rows.map((row) => row.provider_id), now });
  const item = (row: BadLeadRow) => viewBadLead(row, counts.get(row.provider_id) ?? noReports);
  return cutPage(rows, limit, { item, cursor: (row) => [row.position, row.assignment_id] });
}

type PageFilter = Omit<BadLeadQuery, 'cursor'> & { after: readonly [string, string] | undefined };

async function readPage(db: Queryable, filter: PageFilter): Promise<BadLeadRow[]> {
  const order = filter.status === 'pending' ? sql`` : sql`desc`;
  const { rows } = await db.query<BadLeadRow>(
    prepared(
      'bad_leads',
      sql`
        select r.assignment_id, a.lead_id, l.status as lead_status, n.slug as niche_slug, n.name as niche_name, l.source,
               l.campaign, r.provider_id, p.company, a.price_cents, a.assigned_at, a.refunded_at, r.reason, r.notes, r.status,
               r.via, r.reported_at, r.resolved_by, r.resolved_at, r.memo, r.created_at::text as position,
               peers.buyers, peers.reported as peers_reported, peers.approved as peers_approved
        from bad_lead_report r
        join v_assignment a on a.id = r.assignment_id
        join v_lead l on l.id = a.lead_id
        join v_niche n on n.id = l.niche_id
        join v_provider p on p.id = r.provider_id
        cross join lateral (
          select count(*)::int as buyers, count(o.reported_at)::int as reported,
                 count(*) filter (where o.status = 'approved')::int as approved
          from v_assignment b left join bad_lead_report o on o.assignment_id = b.id
          where b.lead_id = a.lead_id and b.id <> a.id) peers
        where true ${conditions(filter)}
        order by r.created_at ${order}, r.assignment_id ${order}
        limit ${filter.limit}::int`,
    ),
  );
  return rows;
}

function conditions({ status, source, provider, after }: PageFilter): Sql {
  const position = sql`(r.created_at, r.assignment_id)`;
  const beyond = status === 'pending' ? sql`>` : sql`<`;
  return sql`
    ${status ? sql`and r.status = ${status}` : sql``}
    ${source ? sql`and l.source = ${source}` : sql``}
    ${provider ? sql`and r.provider_id = ${provider}::uuid` : sql``}
    ${after ? sql`and ${position} ${beyond} (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}`;
}

/**
 * What providers bought and reported in the 30 days before `now`. Who bought nothing has no row. All that was bought is counted in the
 * index; only what was reported is looked at, with the other buyers of its lead.
 */
async function readReportCounts(
  db: Queryable,
  { providerIds, now }: { providerIds: readonly string[]; now: Date },
): Promise<Map<string, ReportCounts>> {
  if (providerIds.length === 0) return new Map();
  const { rows } = await db.query<ReportCounts & { provider_id: string }>(
    prepared(
      'report_counts',
      sql`
        with asked as (
          select provider_id, ${now}::timestamptz - interval '30 days' as since
          from unnest(${[...new Set(providerIds)]}::uuid[]) as t(provider_id))
        select asked.provider_id, bought.assignments, made.reported, made.decided, made.approved, made.peers, made.peers_reported
        from asked
        cross join lateral (
          select count(*)::int as assignments from v_assignment a
          where a.provider_id = asked.provider_id and a.assigned_at > asked.since) bought
        cross join lateral (
          select count(*)::int as reported, count(*) filter (where r.status <> 'pending')::int as decided,
                 count(*) filter (where r.status = 'approved' and r.via <> 'goodwill')::int as approved,
                 coalesce(sum(peers.buyers), 0)::int as peers, coalesce(sum(peers.reported), 0)::int as peers_reported
          from bad_lead_report r
          join v_assignment a on a.id = r.assignment_id
          cross join lateral (
            select count(*) as buyers, count(o.reported_at) as reported
            from v_assignment b left join bad_lead_report o on o.assignment_id = b.id
            where b.lead_id = a.lead_id and b.id <> a.id) peers
          where r.provider_id = asked.provider_id and r.created_at > asked.since and r.reported_at is not null) made
        where bought.assignments > 0`,
    ),
  );
  return new Map(rows.map(({ provider_id, ...counts }) => [provider_id, counts]));
}

function viewBadLead(row: BadLeadRow, counts: ReportCounts): BadLead {
  const { niche_slug, niche_name, provider_id, company, position: _position, ...rest } = row;
  const { buyers, peers_reported, peers_approved, ...report } = rest;
  return {
    ...report,
    niche: { slug: niche_slug, name: niche_name },
    provider: { id: provider_id, company, history: historyOf(counts) },
    assigned_at: row.assigned_at.toISOString(),
    refunded_at: row.refunded_at?.toISOString() ?? null,
    reported_at: row.reported_at?.toISOString() ?? null,
    resolved_at: row.resolved_at?.toISOString() ?? null,
    peers: { buyers, reported: peers_reported, approved: peers_approved },
  };
}
