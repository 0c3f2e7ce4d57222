import {
  type Actor,
  adoptCorrelation,
  appendEvents,
  audit,
  maskText,
  prepared,
  type Queryable,
  runState,
  sql,
  type Tx,
} from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { ProductMetrics } from '../../metrics.ts';
import type { LeadStatus } from './contract.ts';
import { underLead } from './correlation.ts';
import { planSale, saleKey } from './distribute-job.ts';
import { leadEvent, leadEventsOf } from './lead-events.ts';

export interface Reviewed {
  readonly status: LeadStatus;
  /** False when the lead was so already. */
  readonly changed: boolean;
}

export interface Sold extends Reviewed {
  /** Run key of the sale; null for a test lead. */
  readonly jobId: string | null;
}

interface LeadRow {
  readonly id: string;
  readonly niche_id: string;
  readonly status: LeadStatus;
  readonly is_test: boolean;
  readonly sale_no: number;
  readonly approved: boolean;
  readonly next_try_at: Date | null;
  readonly correlation_id: string;
  readonly version: number;
}

const columns = sql`id, niche_id, status, is_test, sale_no, approved_at is not null as approved, next_try_at, correlation_id, version`;

/** Puts a lead up for sale: state, audit, event and job in one commit. Refuses `not_found`, `invalid_state`. */
export async function approveLead(
  tx: Tx,
  { leadId, actor }: { leadId: string; actor: Actor },
  { metrics, log }: { metrics: Pick<ProductMetrics, 'leadsApproved'>; log: Log },
): Promise<Sold> {
  const { rows } = await tx.query<LeadRow>(
    prepared(
      'approve_lead',
      sql`
        with approved as (
          update lead set status = 'approved', approved_by = ${actor.id}, approved_at = clock_timestamp(), sale_no = 1,
                          sale_trigger = 'approved', updated_at = clock_timestamp(), version = version + 1
          where id = ${leadId} and status = 'pending_approval'
          returning ${columns}),
        ${leadEventsOf('lead.approved', sql`approved`)}
        select * from approved`,
    ),
  );
  const lead = rows[0];
  if (!lead) return alreadyApproved(await readLead(tx, leadId));
  return goOnUnder(lead, async () => {
    await audit(tx, { actor, action: 'lead.approved', targetType: 'lead', targetId: leadId });
    const jobId = lead.is_test ? null : await planSale(tx, lead);
    tx.wake('events');
    tx.afterCommit(() => {
      if (!lead.is_test) metrics.leadsApproved.inc();
      log.withCorrelation(lead.correlation_id).info('lead_approved', { lead_id: leadId });
    });
    return { status: 'approved', changed: true, jobId };
  });
}

/** An approval may be asked for twice, also after the sale which the first one started. */
function alreadyApproved({ status, approved, id, is_test, sale_no }: LeadRow): Sold {
  const stands = status === 'approved' || status === 'distributed' || status === 'unsold';
  if (!approved || !stands) throw refuse('invalid_state', { status });
  return { status, changed: false, jobId: is_test ? null : saleKey(id, sale_no) };
}

/** Ends a lead that nobody has bought. Refuses `not_found`, and `invalid_state` after a sale. */
export async function rejectLead(
  tx: Tx,
  { leadId, reason, actor }: { leadId: string; reason: string; actor: Actor },
  { log }: { log: Log },
): Promise<Reviewed> {
  const { rows } = await tx.query<LeadRow>(sql`
    update lead set status = 'rejected', rejected_by = ${actor.id}, rejected_at = clock_timestamp(), reject_reason = ${reason},
                    next_try_at = null, updated_at = clock_timestamp(), version = version + 1
    where id = ${leadId} and status in ('pending_confirmation', 'pending_approval', 'approved', 'unsold') and assigned_count = 0
    returning ${columns}`);
  const lead = rows[0];
  if (!lead) {
    const { status } = await readLead(tx, leadId);
    if (status !== 'rejected') throw refuse('invalid_state', { status });
    return { status, changed: false };
  }
  return goOnUnder(lead, async () => {
    await audit(tx, { actor, action: 'lead.rejected', targetType: 'lead', targetId: leadId, reason });
    await appendEvents(tx, [leadEvent('lead.rejected', lead, { reason: maskText(reason) })]);
    tx.wake('events');
    tx.afterCommit(() => log.withCorrelation(lead.correlation_id).info('lead_rejected', { lead_id: leadId }));
    return { status: 'rejected', changed: true };
  });
}

/** Sells an approved or unsold lead now, under a new sale number. Refuses `not_found`, `invalid_state`, `in_progress`. */
export async function distributeLead(
  tx: Tx,
  { leadId, memo, actor }: { leadId: string; memo: string; actor: Actor },
): Promise<Sold> {
  const lead = await readLead(tx, leadId, { lock: true });
  const { status, is_test } = lead;
  if (is_test) throw refuse('invalid_state', { status, is_test });
  if (status !== 'approved' && status !== 'unsold') throw refuse('invalid_state', { status });
  if (await isSaleUnderWay(tx, lead)) throw refuse('in_progress', { job_id: saleKey(leadId, lead.sale_no) });
  const sale_no = await raiseSaleNo(tx, leadId);
  return goOnUnder(lead, async () => {
    const details = { sale_no };
    await audit(tx, {
      actor,
      action: 'lead.distribution_asked',
      targetType: 'lead',
      targetId: leadId,
      reason: memo,
      details,
    });
    const jobId = await planSale(tx, { id: leadId, sale_no });
    return { status, changed: true, jobId };
  });
}

/** A try planned for later does not count: the new sale takes its place, and finds its number outdated when it comes. */
async function isSaleUnderWay(tx: Tx, { id, sale_no, next_try_at }: LeadRow): Promise<boolean> {
  if ((await runState(tx, saleKey(id, sale_no))) !== 'enqueued') return false;
  return next_try_at === null || next_try_at.getTime() <= Date.now();
}

async function raiseSaleNo(tx: Tx, leadId: string): Promise<number> {
  const { rows } = await tx.query<{ sale_no: number }>(sql`
    update lead set sale_no = sale_no + 1, sale_trigger = 'admin', next_try_at = null, updated_at = clock_timestamp() where id = ${leadId} returning sale_no`);
  return rows[0]?.sale_no ?? 0;
}

async function readLead(db: Queryable, leadId: string, { lock = false } = {}): Promise<LeadRow> {
  const { rows } = await db.query<LeadRow>(
    sql`select ${columns} from lead where id = ${leadId} ${lock ? sql`for no key update` : sql``}`,
  );
  const lead = rows[0];
  if (!lead) throw refuse('not_found');
  return lead;
}

/** The request goes on under the lead's correlation; so does work that no request asked for. */
function goOnUnder<T>({ correlation_id }: LeadRow, work: () => Promise<T>): Promise<T> {
  adoptCorrelation(correlation_id);
  return underLead(correlation_id, work);
}
