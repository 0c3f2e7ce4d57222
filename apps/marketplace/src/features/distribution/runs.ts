import { type Queryable, sql } from '@fmhl/ops';
import { cutPage, decodeCursor, momentCursor } from '../../paging.ts';
import type { RunView, SaleView } from './contract.ts';

type RunRow = Omit<RunView, 'created_at'> & { created_at: Date; created_text: string };

/** One page of the recorded runs of a lead, oldest first. */
export async function listRuns(
  db: Queryable,
  { leadId, limit, cursor }: { leadId: string; limit: number; cursor?: string | undefined },
) {
  const [createdAt, id] = cursor === undefined ? [] : decodeCursor(cursor, momentCursor);
  const after = cursor === undefined ? sql`` : sql`and (created_at, id) > (${createdAt}::timestamptz, ${id}::uuid)`;
  const { rows } = await db.query<RunRow>(sql`
    select id, sale_no, attempt, trigger, start_ord, outcome, matched, assigned, skipped, steps, ms, correlation_id, created_at,
           created_at::text as created_text
    from distribution_run where lead_id = ${leadId} ${after} order by created_at, id limit ${limit + 1}`);
  return cutPage(rows, limit, { item: viewRun, cursor: (row) => [row.created_text, row.id] });
}

function viewRun({ created_text: _text, created_at, ...row }: RunRow): RunView {
  return { ...row, created_at: created_at.toISOString() };
}

/** How a lead was sold: its first 50 runs, and its assignments by slot. `truncated` when there are more runs. */
export async function readSales(
  db: Queryable,
  leadId: string,
): Promise<{ runs: RunView[]; assignments: SaleView[]; truncated: boolean }> {
  const { items, pagination } = await listRuns(db, { leadId, limit: 50 });
  return { runs: items, assignments: await readAssignments(db, leadId), truncated: pagination.next_cursor !== null };
}

type SaleRow = Omit<SaleView, 'assigned_at' | 'refunded_at' | 'viewed_at' | 'mail'> & {
  assigned_at: Date;
  refunded_at: Date | null;
  viewed_at: Date | null;
  mail: Omit<NonNullable<SaleView['mail']>, 'sent_at'> | null;
  sent_at: Date | null;
};

async function readAssignments(db: Queryable, leadId: string): Promise<SaleView[]> {
  const { rows } = await db.query<SaleRow>(sql`
    select a.id, a.provider_id, p.company, a.subscription_id, a.level_id, l.name as level, a.price_cents, a.slot, a.assigned_at,
           a.refunded_at, k.viewed_at, k.decision,
           case when e.id is not null then
             jsonb_build_object('entry_id', e.id, 'amount_cents', e.amount_cents, 'actor', e.actor, 'memo', e.memo) end as refund,
           case when b.assignment_id is not null then
             jsonb_build_object('reason', b.reason, 'status', b.status, 'via', b.via) end as report,
           case when m.id is not null then
             jsonb_build_object('id', m.id, 'status', m.status, 'attempts', m.attempts) end as mail, m.sent_at
    from assignment a
    join v_provider p on p.id = a.provider_id
    join v_level l on l.id = a.level_id
    left join v_ledger_entry e on e.assignment_id = a.id and e.kind = 'lead_refund'
    left join v_bad_lead_report b on b.assignment_id = a.id
    left join v_inbox_mark k on k.assignment_id = a.id
    left join v_email m on m.dedupe_key = 'new_lead:' || a.id
    where a.lead_id = ${leadId} order by a.slot`);
  return rows.map(viewSale);
}

function viewSale({ assigned_at, refunded_at, viewed_at, sent_at, mail, ...row }: SaleRow): SaleView {
  return {
    ...row,
    assigned_at: assigned_at.toISOString(),
    refunded_at: iso(refunded_at),
    viewed_at: iso(viewed_at),
    mail: mail && { ...mail, sent_at: iso(sent_at) },
  };
}

const iso = (at: Date | null) => at?.toISOString() ?? null;

export async function leadExists(db: Queryable, leadId: string): Promise<boolean> {
  const { rowCount } = await db.query(sql`select from v_lead where id = ${leadId}`);
  return rowCount === 1;
}
