import { type EventDraft, eventsInsert, prepared, type Sql, sql, type Tx } from '@fmhl/ops';
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
  /** Who asked for the sale of this number. */
  readonly sale_trigger: 'approved' | 'admin' | 'retry';
  readonly sale_verdict: 'in_time' | 'late' | null;
  readonly correlation_id: string;
  readonly version: number;
}

/** Locks and reads a lead, as a statement of its own or as a CTE. Take the lock of its niche first (`v_lead` names it). */
export function leadForSale(leadId: string, given = sql``): Sql {
  return sql`
    select id, niche_id, status, form, area_codes, is_test, sale_no, start_ord, assigned_count, recipient_cap, approved_at,
           unsold_tries, sale_trigger, sale_verdict, correlation_id, version
    from lead where id = ${leadId}::uuid ${given} for no key update`;
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

/** What the seller writes in the statement that ends the sale: round trips are a good part of its time. */
export interface Alongside {
  readonly events: readonly EventDraft[];
  /** CTEs, each with a comma before it. */
  readonly parts: Sql;
}

/**
 * Writes how a sale ended: `distributed`; or `unsold` with its next try planned; or `expired` when there have been enough.
 * With the event of the lead. Call it in the transaction that locked the lead, which must be `approved` or `unsold`.
 */
export async function finishSale(
  tx: Tx,
  end: SaleEnd,
  deps: { log: Log },
  alongside: Alongside = { events: [], parts: sql`` },
): Promise<SaleRecord> {
  const next = nextOf(end);
  const row = await writeEnd(tx, end, next, alongside);
  if (!row) throw new Error('the lead left its state while it was locked');
  const { id, sale_no } = end.lead;
  if (next.status === 'unsold') await planSale(tx, { id, sale_no: sale_no + 1 }, next.delayMs);
  tx.wake('events');
  tx.afterCommit(() => logEnd(deps.log, end, next));
  const verdict = end.lead.sale_verdict === null ? row.sale_verdict : undefined;
  return { status: next.status, version: next.version, nextTryAt: next.nextTryAt, verdict, latencyMs: row.latency_ms };
}

/** What becomes of the lead. */
interface Next {
  readonly status: 'distributed' | 'unsold' | 'expired';
  readonly version: number;
  readonly tries: number;
  readonly delayMs: number;
  readonly nextTryAt: Date | null;
}

function nextOf({ lead, assignedCount, now }: SaleEnd): Next {
  const version = lead.version + 1;
  const ended = { version, delayMs: 0, nextTryAt: null };
  if (assignedCount > 0) return { ...ended, status: 'distributed', tries: lead.unsold_tries };
  const tries = lead.unsold_tries + 1;
  const plan = planRetry({ tries, approvedAt: lead.approved_at ?? now, now });
  if (plan.kind === 'expire') return { ...ended, status: 'expired', tries };
  const { delayMs } = plan;
  return { version, status: 'unsold', tries, delayMs, nextTryAt: new Date(now.getTime() + delayMs) };
}

interface EndRow {
  sale_verdict: 'in_time' | 'late';
  latency_ms: number;
}

/** A parameter, lest a plan made while few leads are for sale look for this one among all of them. */
const forSale: readonly LeadStatus[] = ['approved', 'unsold'];

async function writeEnd(
  tx: Tx,
  end: SaleEnd,
  { status, tries, nextTryAt, version }: Next,
  { events, parts }: Alongside,
): Promise<EndRow | undefined> {
  const { lead } = end;
  const { rows } = await tx.query<EndRow>(
    prepared(
      'finish_sale',
      sql`
        with ended as (
          update lead
          set status = ${status}, start_ord = ${end.startOrd}, assigned_count = ${end.assignedCount},
              recipient_cap = ${end.recipientCap},
              distributed_at = case when ${status} = 'distributed' then clock_timestamp() end,
              unsold_tries = ${tries}, sale_no = sale_no + ${status === 'unsold' ? 1 : 0}::int, next_try_at = ${nextTryAt},
              sale_trigger = case when ${status} = 'unsold' then 'retry' else sale_trigger end,
              sale_verdict = coalesce(sale_verdict,
                case when clock_timestamp() <= approved_at + ${verdictWithin} then 'in_time' else 'late' end),
              updated_at = clock_timestamp(), version = ${version}
          where id = ${lead.id} and status = any(${forSale}::text[]) and version = ${lead.version}
          returning sale_verdict, (extract(epoch from clock_timestamp() - approved_at) * 1000)::float8 as latency_ms),
        told as (${eventsInsert([endEvent(end, { status, tries, nextTryAt, version }), ...events])})
        ${parts}
        select * from ended`,
    ),
  );
  return rows[0];
}

/** A lead that has an answer within this time of its approval was sold in time. */
export const verdictWithin = sql`interval '60 seconds'`;

function endEvent(
  { lead, startOrd, assignedCount, offered }: SaleEnd,
  { status, tries, nextTryAt, version }: Omit<Next, 'delayMs'>,
): EventDraft {
  const aggregate = { id: lead.id, niche_id: lead.niche_id, version };
  switch (status) {
    case 'distributed':
      return leadEvent('lead.distributed', aggregate, { start_ord: startOrd, assigned: assignedCount, offered });
    case 'unsold':
      return leadEvent('lead.unsold', aggregate, { tries, next_try_at: nextTryAt?.toISOString() ?? null });
    case 'expired':
      return leadEvent('lead.expired', aggregate);
  }
}

function logEnd(log: Log, { lead, assignedCount, offered }: SaleEnd, { status, tries }: Next): void {
  const underId = log.withCorrelation(lead.correlation_id);
  const lead_id = lead.id;
  if (status === 'distributed') underId.info('lead_distributed', { lead_id, assigned: assignedCount, offered });
  else if (status === 'unsold') underId.info('lead_unsold', { lead_id, tries });
  else underId.info('lead_expired', { lead_id, tries });
}
