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

async function readAssignments(db: Queryable, leadId: string): Promise<SaleView[]> {
  const { rows } = await db.query<
    Omit<SaleView, 'assigned_at' | 'refunded_at'> & { assigned_at: Date; refunded_at: Date | null }
  >(sql`
    select id, provider_id, subscription_id, level_id, price_cents, slot, assigned_at, refunded_at
    from assignment where lead_id = ${leadId} order by slot`);
  return rows.map((row) => ({
    ...row,
    assigned_at: row.assigned_at.toISOString(),
    refunded_at: row.refunded_at?.toISOString() ?? null,
  }));
}

export async function leadExists(db: Queryable, leadId: string): Promise<boolean> {
  const { rowCount } = await db.query(sql`select from v_lead where id = ${leadId}`);
  return rowCount === 1;
}
