import { type Actor, appendEvents, audit, type Queryable, type Sql, sql, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { RefundDeps } from '../billing/index.ts';
import { queueMails } from '../email/index.ts';
import { type BadLead, endAsBad, leadEvent, underLead } from '../leads/index.ts';
import { type BadLeadPlan, markedAtOnce } from './contract.ts';
import { refundResolved } from './decide.ts';
import { refundedMail } from './facts.ts';
import { approveUnasked } from './queries.ts';

/** Which leads: those of these ids, or all of a source, oldest first. Only sold ones count. */
export type Selection = { readonly ids: readonly string[] } | { readonly source: string };

export interface Planned {
  readonly plan: BadLeadPlan;
  readonly leadIds: readonly string[];
  /** There are more than one call marks. */
  readonly hasMore: boolean;
}

/** What marking the selection bad would refund now. */
export async function planMarkBad(db: Queryable, selection: Selection): Promise<Planned> {
  const { rows } = await db.query<BadLeadPlan & { ids: string[] }>(sql`
    with chosen as (
      select l.id, row_number() over (order by l.created_at, l.id) as nth
      from v_lead l where l.status = 'distributed' and ${condition(selection)}
      order by l.created_at, l.id limit ${markedAtOnce + 1}::int),
    owed as (
      select a.provider_id, a.price_cents from chosen c join v_assignment a on a.lead_id = c.id
      where c.nth <= ${markedAtOnce}::int and a.refunded_at is null)
    select array(select id from chosen order by nth) as ids,
           least((select count(*) from chosen), ${markedAtOnce}::int)::int as leads,
           (select count(*)::int from owed) as assignments, (select count(distinct provider_id)::int from owed) as providers,
           (select coalesce(sum(price_cents), 0)::bigint from owed) as refund_cents`);
  const { ids, ...plan } = rows[0] as BadLeadPlan & { ids: string[] };
  return { plan, leadIds: ids.slice(0, markedAtOnce), hasMore: ids.length > markedAtOnce };
}

function condition(selection: Selection): Sql {
  return 'ids' in selection ? sql`l.id = any(${selection.ids}::uuid[])` : sql`l.source = ${selection.source}`;
}

/**
 * The leads to mark, when the plan is still the one that was seen. Refuses `plan_drifted`. What is between plan and execution is not
 * refused: each lead is marked as it is by then.
 */
export async function chooseBad(
  tx: Tx,
  { selection, expected }: { selection: Selection; expected: BadLeadPlan },
): Promise<{ ids: readonly string[]; hasMore: boolean }> {
  const { plan, leadIds, hasMore } = await planMarkBad(tx, selection);
  const names = Object.keys(plan) as (keyof BadLeadPlan)[];
  if (names.some((name) => plan[name] !== expected[name])) throw refuse('plan_drifted', { present: plan });
  return { ids: leadIds, hasMore };
}

/** What came of one lead. A type, and no interface, as it is kept as JSON. */
export type Marked = {
  readonly changed: boolean;
  readonly refundCents: number;
  /** Who got money back, once for each assignment. */
  readonly providerIds: readonly string[];
};

/** What came of many. */
export function sumOf(marked: readonly Marked[]): BadLeadPlan {
  const providerIds = marked.flatMap((one) => one.providerIds);
  return {
    leads: marked.filter((one) => one.changed).length,
    assignments: providerIds.length,
    providers: new Set(providerIds).size,
    refund_cents: marked.reduce((sum, one) => sum + one.refundCents, 0),
  };
}

interface MarkBad {
  readonly leadId: string;
  readonly memo: string;
  readonly actor: Actor;
}

/** Marks one lead bad and refunds every assignment of it that is not refunded yet. A lead that is not sold stays as it is. */
export async function markLeadBad(tx: Tx, { leadId, memo, actor }: MarkBad, deps: RefundDeps): Promise<Marked> {
  const lead = await endAsBad(tx, { leadId, memo, actor });
  if (!lead) return { changed: false, refundCents: 0, providerIds: [] };
  return underLead(lead.correlation_id, async () => {
    const resolved = await approveUnasked(tx, { of: { leadId }, via: 'mark_bad', memo, by: actor.id });
    const refunds = resolved.length > 0 ? await refundResolved(tx, resolved, { memo, actor, ref: leadId }, deps) : [];
    await queueMails(tx, refunds.map(refundedMail));
    const refundCents = refunds.reduce((sum, one) => sum + one.amount_cents, 0);
    await tell(tx, lead, { memo, actor, refunds: refunds.length, refundCents }, deps);
    return { changed: true, refundCents, providerIds: refunds.map((one) => one.provider_id) };
  });
}

async function tell(
  tx: Tx,
  lead: BadLead,
  { memo, actor, refunds, refundCents }: Pick<MarkBad, 'memo' | 'actor'> & { refunds: number; refundCents: number },
  { log }: RefundDeps,
): Promise<void> {
  const details = { refunds, refund_cents: refundCents };
  await audit(tx, { actor, action: 'lead.marked_bad', targetType: 'lead', targetId: lead.id, reason: memo, details });
  await appendEvents(tx, [leadEvent('lead.marked_bad', lead, details)]);
  tx.wake('events');
  tx.afterCommit(() =>
    log.withCorrelation(lead.correlation_id).info('lead_marked_bad', { lead_id: lead.id, ...details }),
  );
}
