import type { Chronicle } from './chronicle.ts';
import type { Provider, Sale } from './market.ts';
import type { MoneyHistory } from './money-history.ts';
import { idOf, type Random, streamOf } from './random.ts';
import { demand } from './shape.ts';
import type { RowOf, TableName } from './tables.ts';
import type { Timeline } from './timeline.ts';

const dayMs = 86_400_000;

/** The lead of a sale, as far as its assignments name it. */
export interface SoldLead {
  readonly id: string;
  readonly index: number;
  readonly correlationId: string;
  readonly nicheName: string;
  /** When the staff marked it bad for all; undefined when they have not. */
  readonly badAt: number | undefined;
  /** Holds a row until the lead's own is written. */
  keep<Name extends TableName>(name: Name, row: RowOf<Name>): void;
}

const reasons = ['unreachable', 'unreachable', 'spam', 'out_of_scope', 'duplicate', 'other'] as const;
const verdictMemos = {
  approved: 'The number and the address lead nowhere',
  rejected: 'The person was reached on the second try',
} as const;
export const badLeadMemo = 'The form was filled in by a program';

/** What becomes of one report. */
interface Report {
  readonly reason: string;
  readonly reportedAt: number;
  readonly resolvedAt: number;
  readonly outcome: 'approved' | 'rejected';
}

/** What buyers make of what they bought: opened, accepted, reported, refunded. */
export class AssignmentHistory {
  readonly #chronicle: Chronicle;
  readonly #timeline: Timeline;
  readonly #money: MoneyHistory;
  /** Reports by provider and day. */
  readonly #reports = new Map<string, number>();

  constructor(chronicle: Chronicle, { timeline, money }: { timeline: Timeline; money: MoneyHistory }) {
    this.#chronicle = chronicle;
    this.#timeline = timeline;
    this.#money = money;
  }

  /** One sale with its charge, its mails and all that follows from it. */
  record(lead: SoldLead, sale: Sale): void {
    const { subscription, posting, slot, slotCap, day, dayNumber } = sale;
    const { provider, level, draft } = subscription;
    const [at, key] = [posting.at, `${lead.index}.${slot}`];
    const id = idOf(this.#chronicle.seed, 'assignment', key);
    const random = streamOf(this.#chronicle.seed, 'fate', key);
    const refundedAt = this.#fate(lead, { id, at, provider, random });
    lead.keep('assignment', {
      id,
      lead_id: lead.id,
      provider_id: provider.id,
      subscription_id: subscription.id,
      level_id: level.id,
      price_cents: level.price_cents,
      slot,
      slot_cap: slotCap,
      cap_day: day,
      cap_n: dayNumber,
      cap_limit: draft.dailyCap,
      assigned_at: at,
      refunded_at: refundedAt ?? null,
      created_at: at,
    });
    const facts = { assignmentId: id, correlationId: lead.correlationId };
    const entryId = this.#money.entry(posting, { kind: 'lead_charge', actor: 'system', ...facts });
    if (refundedAt !== undefined) this.#planRefund(lead, { id, provider, cents: level.price_cents, at: refundedAt });
    this.#mails(lead, sale, { id, entryId });
  }

  #mails(
    lead: SoldLead,
    { subscription, posting, crossedLow }: Sale,
    { id, entryId }: { id: string; entryId: string },
  ): void {
    const { provider, level } = subscription;
    const to = {
      to: provider.draft.email,
      fate: 'accepted',
      at: posting.at,
      correlationId: lead.correlationId,
    } as const;
    const variables = {
      assignment_id: id,
      niche_name: lead.nicheName,
      level_name: level.name,
      price_cents: level.price_cents,
    };
    const related = { type: 'assignment', id };
    this.#chronicle.mail({ template: 'new_lead', variables, ...to, related, dedupeKey: `new_lead:${id}` });
    if (!crossedLow) return;
    this.#chronicle.mail({
      template: 'low_balance',
      variables: { balance_cents: posting.balanceCents, threshold_cents: provider.draft.lowBalanceCents ?? 0 },
      ...to,
      related: { type: 'provider', id: provider.id },
      dedupeKey: `low_balance:${entryId}`,
    });
  }

  /** Marks and report, as far as they lie before the end. Answers when the price came back. */
  #fate(lead: SoldLead, sold: { id: string; at: number; provider: Provider; random: Random }): number | undefined {
    const { id, at, provider, random } = sold;
    const mark = markOf(id, at, random, this.#chronicle.now);
    if (mark) lead.keep('inbox_mark', mark);
    const report = this.#reportOf(lead, { at, provider, random });
    const badAt = lead.badAt;
    if (!report && badAt === undefined) return undefined;
    const isMarkedBad =
      badAt !== undefined && (report === undefined || report.outcome === 'rejected' || report.resolvedAt > badAt);
    const resolvedAt = isMarkedBad ? badAt : (report?.resolvedAt ?? 0);
    const isResolved = resolvedAt <= this.#chronicle.now;
    const outcome = isMarkedBad ? 'approved' : (report?.outcome ?? 'approved');
    lead.keep('bad_lead_report', {
      assignment_id: id,
      provider_id: provider.id,
      reason: report?.reason ?? null,
      notes: report?.reason === 'other' ? 'They asked for something else' : null,
      status: isResolved ? outcome : 'pending',
      via: isMarkedBad ? 'mark_bad' : 'report',
      reported_at: report?.reportedAt ?? null,
      resolved_by: isResolved ? 'world-staff' : null,
      resolved_at: isResolved ? resolvedAt : null,
      memo: isResolved ? (isMarkedBad ? badLeadMemo : verdictMemos[outcome]) : null,
      created_at: report?.reportedAt ?? resolvedAt,
      updated_at: isResolved ? resolvedAt : (report?.reportedAt ?? resolvedAt),
      version: report && isResolved ? 2 : 1,
    });
    if (isResolved && outcome === 'rejected') this.#tellRejected(lead, { id, provider, at: resolvedAt });
    return isResolved && outcome === 'approved' ? resolvedAt : undefined;
  }

  #reportOf(
    { badAt }: SoldLead,
    { at, provider, random }: { at: number; provider: Provider; random: Random },
  ): Report | undefined {
    const { share, shareOfAbusers, abusers, medianMs, sigma, withinMs } = demand.report;
    const { isAbuser } = provider.draft;
    // So that with the abusers the share of all is that of the knob.
    const chance = isAbuser ? shareOfAbusers : (share - abusers * shareOfAbusers) / (1 - abusers);
    const isReported = random.chance(chance);
    const reportedAt = at + Math.min(withinMs - 1, Math.round(random.logNormal(medianMs, sigma)));
    const resolvedAt =
      reportedAt + Math.round(60_000 + random.logNormal(demand.resolve.medianMs, demand.resolve.sigma));
    const isGranted = random.chance(isAbuser ? demand.resolve.approvedOfAbusers : demand.resolve.approved);
    const reason = random.pick(reasons);
    if (!isReported || reportedAt > this.#chronicle.now || (badAt !== undefined && reportedAt >= badAt))
      return undefined;
    if (!this.#mayReport(provider, reportedAt)) return undefined;
    return { reason, reportedAt, resolvedAt, outcome: isGranted ? 'approved' : 'rejected' };
  }

  /** Ten a day. */
  #mayReport(provider: Provider, at: number): boolean {
    const key = `${provider.draft.index}.${Math.floor(at / dayMs)}`;
    const made = this.#reports.get(key) ?? 0;
    // Half of it for a day of the calendar keeps any 24 hours within it.
    if (made >= 5) return false;
    this.#reports.set(key, made + 1);
    return true;
  }

  #tellRejected(lead: SoldLead, { id, provider, at }: { id: string; provider: Provider; at: number }): void {
    this.#chronicle.mail({
      template: 'bad_lead_decided',
      variables: { assignment_id: id, outcome: 'rejected', amount_cents: 0, balance_after_cents: null },
      ...this.#toBuyer(lead, provider, at, id),
      dedupeKey: `bad_lead_decided:${id}`,
    });
  }

  #planRefund(
    lead: SoldLead,
    { id, provider, cents, at }: { id: string; provider: Provider; cents: number; at: number },
  ): void {
    const isOfAll = at === lead.badAt;
    const { correlationId } = lead;
    this.#timeline.plan(at, () => {
      const memo = isOfAll ? badLeadMemo : verdictMemos.approved;
      const facts = { kind: 'lead_refund', assignmentId: id, actor: 'world-staff', memo, correlationId } as const;
      const { balanceCents } = this.#money.credit(provider, { ...facts, amountCents: cents, at });
      const amounts = { amount_cents: cents, balance_after_cents: balanceCents };
      const to = this.#toBuyer(lead, provider, at, id);
      this.#chronicle.mail(
        isOfAll
          ? {
              template: 'lead_refunded',
              variables: { assignment_id: id, ...amounts },
              ...to,
              dedupeKey: `lead_refunded:${id}`,
            }
          : {
              template: 'bad_lead_decided',
              variables: { assignment_id: id, outcome: 'approved', ...amounts },
              ...to,
              dedupeKey: `bad_lead_decided:${id}`,
            },
      );
    });
  }

  #toBuyer({ correlationId }: SoldLead, provider: Provider, at: number, assignmentId: string) {
    const related = { type: 'assignment', id: assignmentId };
    return { to: provider.draft.email, fate: 'accepted', related, at, correlationId } as const;
  }
}

/** What a provider did with the lead so far; undefined before they opened it. */
function markOf(id: string, at: number, random: Random, now: number): RowOf<'inbox_mark'> | undefined {
  const { view, decision } = demand;
  const isViewed = random.chance(view.share);
  const viewedAt = at + Math.round(5_000 + random.logNormal(view.medianMs, view.sigma));
  const choice = random.next() * view.share;
  const decidedAt = viewedAt + Math.round(5_000 + random.logNormal(decision.medianMs, decision.sigma));
  if (!isViewed || viewedAt > now) return undefined;
  const wish =
    choice < decision.accepted ? 'accepted' : choice < decision.accepted + decision.declined ? 'declined' : null;
  const isDecided = wish !== null && decidedAt <= now;
  return {
    assignment_id: id,
    viewed_at: viewedAt,
    decision: isDecided ? wish : null,
    decided_at: isDecided ? decidedAt : null,
    created_at: viewedAt,
    updated_at: isDecided ? decidedAt : viewedAt,
    version: isDecided ? 2 : 1,
  };
}
