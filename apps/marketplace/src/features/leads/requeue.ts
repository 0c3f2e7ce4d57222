import { type Queryable, sql, type Tx } from '@fmhl/ops';
import type { ProductMetrics } from '../../metrics.ts';
import { planSales } from './distribute-job.ts';
import { offeredForHours } from './retry-plan.ts';
import { verdictWithin } from './sale.ts';

interface Requeued {
  id: string;
  sale_no: number;
  correlation_id: string;
}

/**
 * Only what is still on offer is sold by itself. By then its runs and letters are there to be asked: they are removed weeks later, and a lead
 * whose letter was discarded must not come back with their removal.
 */
const isOnOffer = sql`l.approved_at > clock_timestamp() - ${offeredForHours} * interval '1 hour'`;

/** A death that no recorded attempt followed: its letter says what becomes of the sale, also once a person has closed it. */
const isWithItsLetter = sql`
  exists (select from ops.job_run r where r.run_key = 'distribute-' || l.id || '-' || l.sale_no and r.state = 'dead')
  and not exists (select from v_distribution_run d where d.lead_id = l.id and d.sale_no = l.sale_no)`;

/**
 * Puts what a paused niche kept from its sale up for it, under new sale numbers: what is on offer, and whose job did not die. Answers how
 * many.
 */
export async function requeueApproved(tx: Tx, nicheId: string): Promise<number> {
  const { rows } = await tx.query<Requeued>(sql`
    update lead l set sale_no = sale_no + 1, sale_trigger = 'retry', updated_at = clock_timestamp()
    where niche_id = ${nicheId} and not is_test
      and (status = 'approved' or (status = 'unsold' and next_try_at <= clock_timestamp()))
      and ${isOnOffer} and not (${isWithItsLetter})
    returning id, sale_no, correlation_id`);
  return planAll(tx, rows);
}

/** Leads on offer that wait for a sale which nothing will start: no live run, no dead one that a person must judge, none recorded. */
export async function stuckLeads(db: Queryable, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(sql`
    select l.id from lead l
    where ${isOverdue} and ${isOnOffer} and not l.is_test
      and not exists (select from ops.job_run r
                      where r.run_key = 'distribute-' || l.id || '-' || l.sale_no and r.state in ('enqueued', 'dead'))
      and not exists (select from v_distribution_run d where d.lead_id = l.id and d.sale_no = l.sale_no)
    order by l.approved_at limit ${limit}`);
  return rows.map((row) => row.id);
}

/** Two minutes: by then a live dispatcher has long handed over what was committed. */
const isOverdue = sql`
  l.status in ('approved', 'unsold')
  and greatest(l.approved_at, l.updated_at, l.next_try_at) < clock_timestamp() - interval '2 minutes'`;

/** Starts the sale of stuck leads anew, and answers how many: each is a repair worth counting. For a loop. */
export async function requeueStuck(tx: Tx, { limit }: { limit: number }): Promise<number> {
  const ids = await stuckLeads(tx, limit);
  if (ids.length === 0) return 0;
  const { rows } = await tx.query<Requeued>(sql`
    update lead l set sale_no = l.sale_no + 1, sale_trigger = 'retry', updated_at = clock_timestamp()
    where l.id in (select l.id from lead l where l.id = any(${ids}::uuid[]) and ${isOverdue} for no key update skip locked)
    returning l.id, l.sale_no, l.correlation_id`);
  return planAll(tx, rows);
}

/** Plans in one statement: a paused niche may have kept many, and its lock is held meanwhile. */
const plannedAtOnce = 500;

async function planAll(tx: Tx, leads: readonly Requeued[]): Promise<number> {
  for (let at = 0; at < leads.length; at += plannedAtOnce) await planSales(tx, leads.slice(at, at + plannedAtOnce));
  return leads.length;
}

/**
 * Gives approved leads that have waited too long their verdict: one that never ends would else never be counted.
 * For a loop; answers how many.
 */
export async function stampLateSales(
  tx: Tx,
  { limit }: { limit: number },
  { metrics }: { metrics: Pick<ProductMetrics, 'leadAssignmentVerdicts'> },
): Promise<number> {
  const { rowCount } = await tx.query(sql`
    update lead set sale_verdict = 'late', updated_at = clock_timestamp()
    where id in (
      select id from lead
      where status = 'approved' and sale_verdict is null and not is_test and approved_at < clock_timestamp() - ${verdictWithin}
      order by approved_at limit ${limit} for no key update skip locked)`);
  if (rowCount > 0) tx.afterCommit(() => metrics.leadAssignmentVerdicts.late.inc(rowCount));
  return rowCount;
}
