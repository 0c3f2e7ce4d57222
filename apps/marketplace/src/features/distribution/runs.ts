import { type Queryable, sql } from '@fmhl/ops';
import type { RunView, SaleView } from './contract.ts';

/** The recorded runs of a lead, oldest first. */
export async function readRuns(db: Queryable, leadId: string): Promise<RunView[]> {
  const { rows } = await db.query<Omit<RunView, 'created_at'> & { created_at: Date }>(sql`
    select id, sale_no, attempt, trigger, start_ord, outcome, matched, assigned, skipped, steps, ms, correlation_id, created_at
    from distribution_run where lead_id = ${leadId} order by created_at, id limit 200`);
  return rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() }));
}

/** How a lead was sold: its runs, and its assignments by slot. */
export async function readSales(db: Queryable, leadId: string): Promise<{ runs: RunView[]; assignments: SaleView[] }> {
  return { runs: await readRuns(db, leadId), assignments: await readAssignments(db, leadId) };
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
