import { type Actor, appendEvents, audit, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import { type Refund, refund, type RefundDeps, type RefundInput } from '../billing/index.ts';
import { refundMark } from '../distribution/index.ts';
import { queueMails } from '../email/index.ts';
import { underLead } from '../leads/index.ts';
import type { ReportStatus } from './contract.ts';
import { approvedMail, decidedEvent, refundedMail, rejectedMail } from './facts.ts';
import { approveUnasked, assignmentExists, mailAddress, readStatus, type Resolved, resolvePending } from './queries.ts';

export interface Decision {
  readonly assignmentId: string;
  readonly memo: string;
  readonly actor: Actor;
}

export interface Decided {
  readonly status: ReportStatus;
  /** False when it was decided so before. */
  readonly changed: boolean;
  /** What came back by this decision. */
  readonly refund: Refund | null;
}

/** Grants a report: the price charged comes back. Refuses `not_found`, and `invalid_state` after a rejection. */
export async function approveReport(tx: Tx, decision: Decision, deps: RefundDeps): Promise<Decided> {
  const resolved = await resolvePending(tx, { ...decision, outcome: 'approved', by: decision.actor.id });
  if (!resolved) return { ...(await decidedBefore(tx, decision, 'approved')), refund: null };
  return underLead(resolved.correlation_id, async () => {
    const [back] = await refundResolved(tx, [resolved], { ...decision, ref: decision.assignmentId }, deps);
    await auditDecision(tx, resolved, decision, { action: 'bad_lead.approved', cents: back.amount_cents });
    await queueMails(tx, [approvedMail(back)]);
    logDecision(tx, resolved, 'approved', deps);
    return { status: 'approved', changed: true, refund: back };
  });
}

/** Turns a report down; no money moves. Refuses `not_found`, and `invalid_state` after an approval. */
export async function rejectReport(tx: Tx, decision: Decision, deps: RefundDeps): Promise<Decided> {
  const resolved = await resolvePending(tx, { ...decision, outcome: 'rejected', by: decision.actor.id });
  if (!resolved) return { ...(await decidedBefore(tx, decision, 'rejected')), refund: null };
  return underLead(resolved.correlation_id, async () => {
    await appendEvents(tx, [decidedEvent(resolved, 'rejected')]);
    await auditDecision(tx, resolved, decision, { action: 'bad_lead.rejected', cents: 0 });
    const email = await mailAddress(tx, resolved.provider_id);
    if (email) await queueMails(tx, [rejectedMail(resolved.assignment_id, email)]);
    tx.wake('events');
    logDecision(tx, resolved, 'rejected', deps);
    return { status: 'rejected', changed: true, refund: null };
  });
}

/**
 * Gives the price of one assignment back out of goodwill, whether or not it was reported. Once: refuses `already_refunded` after any
 * refund, and `not_found`.
 */
export async function refundAssignment(tx: Tx, decision: Decision, deps: RefundDeps): Promise<Refund> {
  const { assignmentId, memo, actor } = decision;
  const [resolved] = await approveUnasked(tx, { of: { assignmentId }, via: 'goodwill', memo, by: actor.id });
  if (!resolved) throw refuse((await assignmentExists(tx, assignmentId)) ? 'already_refunded' : 'not_found');
  return underLead(resolved.correlation_id, async () => {
    const [back] = await refundResolved(tx, [resolved], { ...decision, ref: decision.assignmentId }, deps);
    await auditDecision(tx, resolved, decision, { action: 'assignment.refunded', cents: back.amount_cents });
    await queueMails(tx, [refundedMail(back)]);
    return back;
  });
}

type AtLeastOne<T> = [T, ...T[]];

/**
 * Refunds what was just approved, one assignment of a provider at most, and tells of each decision. The row of the report is what
 * everybody who wants to refund takes first, so a refund that is missing here was written by none of them: it throws.
 */
export async function refundResolved(
  tx: Tx,
  resolved: readonly Resolved[],
  { memo, actor, ref }: Pick<RefundInput, 'memo' | 'actor' | 'ref'>,
  deps: RefundDeps,
): Promise<AtLeastOne<Refund>> {
  const marked = refundMark(resolved.map((one) => one.assignment_id));
  const refunds = await refund(tx, { marked, memo, actor, ref }, deps);
  if (refunds.length !== resolved.length || refunds.length === 0) {
    throw new Error(`refund_mismatch: ${refunds.length} of ${resolved.length} approved were refunded`);
  }
  await appendEvents(
    tx,
    resolved.map((one) => decidedEvent(one, 'approved')),
  );
  tx.wake('events');
  return refunds as AtLeastOne<Refund>;
}

async function decidedBefore(tx: Tx, { assignmentId }: Decision, outcome: 'approved' | 'rejected') {
  const status = await readStatus(tx, assignmentId);
  if (!status) throw refuse('not_found');
  if (status !== outcome) throw refuse('invalid_state', { status });
  return { status, changed: false };
}

async function auditDecision(
  tx: Tx,
  { assignment_id, lead_id, provider_id }: Resolved,
  { memo, actor }: Decision,
  { action, cents }: { action: string; cents: number },
): Promise<void> {
  await audit(tx, {
    actor,
    action,
    targetType: 'assignment',
    targetId: assignment_id,
    reason: memo,
    details: { lead_id, provider_id, refund_cents: cents },
  });
}

function logDecision(tx: Tx, { assignment_id, correlation_id }: Resolved, outcome: string, { log }: RefundDeps): void {
  tx.afterCommit(() => log.withCorrelation(correlation_id).info('bad_lead_decided', { assignment_id, outcome }));
}
