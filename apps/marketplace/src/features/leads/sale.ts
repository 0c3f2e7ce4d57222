import { appendEvents, prepared, sql, type Tx } from '@fmhl/ops';
import type { Log } from '../../log.ts';
import type { LeadStatus } from './contract.ts';
import { planSale } from './distribute-job.ts';
import { leadEvent } from './lead-events.ts';
import { planRetry } from './retry-plan.ts';

/** A lead as a sale needs it: locked, and without its person. */
export interface LeadForSale {
  readonly id: string;
  readonly niche_id: string;
  readonly status: LeadStatus;
  readonly form: Readonly<Record<string, unknown>>;
  readonly area_codes: readonly string[];
  readonly is_test: boolean;
  readonly sale_no: number;
  readonly start_ord: number | null;
  readonly assigned_count: number;
  readonly recipient_cap: number | null;
  readonly approved_at: Date | null;
  readonly unsold_tries: number;
  readonly sale_verdict: 'in_time' | 'late' | null;
  readonly correlation_id: string;
  readonly version: number;
}

/** Locks and reads a lead. Take the lock of its niche first (`v_lead` names it). */
export async function lockLeadForSale(tx: Tx, leadId: string): Promise<LeadForSale | undefined> {
  const { rows } = await tx.query<LeadForSale>(
    prepared(
      'lock_lead_for_sale',
      sql`
        select id, niche_id, status, form, area_codes, is_test, sale_no, start_ord, assigned_count, recipient_cap, approved_at,
               unsold_tries, sale_verdict, correlation_id, version
        from lead where id = ${leadId} for no key update`,
    ),
  );
  return rows[0];
}

export interface SaleEnd {
  readonly lead: LeadForSale;
  readonly startOrd: number | null;
  /** Assignments of the lead in all, those of this sale included. None is an unsold lead. */
  readonly assignedCount: number;
  /** Smallest maximum of the levels it was sold at; null without a sale. */
  readonly recipientCap: number | null;
  /** Recipients that the start level offers. */
  readonly offered: number;
  readonly now: Date;
}

export interface SaleRecord {
  readonly status: 'distributed' | 'unsold' | 'expired';
  readonly version: number;
  /** When the next try is planned; null when there is none. */
  readonly nextTryAt: Date | null;
  /** Set when this sale gave the lead its verdict, once in its life. To be counted after the commit. */
  readonly verdict: 'in_time' | 'late' | undefined;
  /** From the approval until now. */
  readonly latencyMs: number;
}

/**
 * Writes how a sale ended: `distributed`; or `unsold` with its next try planned; or `expired` when there have been enough.
 * With the event of the lead. Call it in the transaction that locked the lead, which must be `approved` or `unsold`.
 */
export async function finishSale(tx: Tx, end: SaleEnd, deps: { log: Log }): Promise<SaleRecord> {
  const plan = end.assignedCount > 0 ? undefined : retryOf(end);
  const row = await writeEnd(tx, end, plan);
  if (!row) throw new Error('the lead left its state while it was locked');
  const { id, niche_id, sale_no } = end.lead;
  if (plan?.kind === 'retry') await planSale(tx, { id, sale_no: sale_no + 1 }, plan.delayMs);
  await appendEvents(tx, [endEvent(end, row, niche_id)]);
  tx.wake('events');
  tx.afterCommit(() => logEnd(deps.log, end, row));
  const verdict = end.lead.sale_verdict === null ? row.sale_verdict : undefined;
  return { status: row.status, version: row.version, nextTryAt: row.next_try_at, verdict, latencyMs: row.latency_ms };
}

function retryOf({ lead, now }: SaleEnd) {
  return planRetry({ tries: lead.unsold_tries + 1, approvedAt: lead.approved_at ?? now, now });
}

interface EndRow {
  status: 'distributed' | 'unsold' | 'expired';
  version: number;
  unsold_tries: number;
  next_try_at: Date | null;
  sale_verdict: 'in_time' | 'late';
  latency_ms: number;
}

async function writeEnd(
  tx: Tx,
  end: SaleEnd,
  plan: ReturnType<typeof planRetry> | undefined,
): Promise<EndRow | undefined> {
  const status = plan === undefined ? 'distributed' : plan.kind === 'retry' ? 'unsold' : 'expired';
  const delayMs = plan?.kind === 'retry' ? plan.delayMs : null;
  const { rows } = await tx.query<EndRow>(
    prepared(
      'finish_sale',
      sql`
        update lead
        set status = ${status}, start_ord = ${end.startOrd}, assigned_count = ${end.assignedCount}, recipient_cap = ${end.recipientCap},
            distributed_at = case when ${status} = 'distributed' then clock_timestamp() end,
            unsold_tries = unsold_tries + ${plan ? 1 : 0}::int,
            sale_no = sale_no + ${plan?.kind === 'retry' ? 1 : 0}::int,
            next_try_at = clock_timestamp() + ${delayMs}::bigint * interval '1 ms',
            sale_verdict = coalesce(sale_verdict,
              case when clock_timestamp() <= approved_at + ${verdictWithin} then 'in_time' else 'late' end),
            updated_at = clock_timestamp(), version = version + 1
        where id = ${end.lead.id} and status in ('approved', 'unsold')
        returning status, version, unsold_tries, next_try_at, sale_verdict,
                  (extract(epoch from clock_timestamp() - approved_at) * 1000)::float8 as latency_ms`,
    ),
  );
  return rows[0];
}

/** A lead that has an answer within this time of its approval was sold in time. */
export const verdictWithin = sql`interval '60 seconds'`;

function endEvent({ lead, startOrd, assignedCount, offered }: SaleEnd, row: EndRow, niche_id: string) {
  const aggregate = { id: lead.id, niche_id, version: row.version };
  switch (row.status) {
    case 'distributed':
      return leadEvent('lead.distributed', aggregate, { start_ord: startOrd, assigned: assignedCount, offered });
    case 'unsold':
      return leadEvent('lead.unsold', aggregate, {
        tries: row.unsold_tries,
        next_try_at: row.next_try_at?.toISOString() ?? null,
      });
    case 'expired':
      return leadEvent('lead.expired', aggregate);
  }
}

function logEnd(log: Log, { lead, assignedCount, offered }: SaleEnd, row: EndRow): void {
  const underId = log.withCorrelation(lead.correlation_id);
  const lead_id = lead.id;
  if (row.status === 'distributed') underId.info('lead_distributed', { lead_id, assigned: assignedCount, offered });
  else if (row.status === 'unsold') underId.info('lead_unsold', { lead_id, tries: row.unsold_tries });
  else underId.info('lead_expired', { lead_id, tries: row.unsold_tries });
}
