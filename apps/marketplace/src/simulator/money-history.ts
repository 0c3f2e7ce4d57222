import { hash } from 'node:crypto';
import type { Chronicle } from './chronicle.ts';
import { canPay, credit, type Posting, type Provider, type Subscription } from './market.ts';
import { idOf, type Random, streamOf } from './random.ts';
import { supply } from './shape.ts';
import { dollarsOf } from './supply.ts';
import type { RowOf } from './tables.ts';
import type { Timeline } from './timeline.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;
const gateway = 'cardsim';

type EntryKind = 'deposit' | 'lead_charge' | 'lead_refund' | 'manual_credit';

interface EntryFacts {
  readonly kind: EntryKind;
  readonly assignmentId?: string;
  readonly paymentId?: string;
  readonly actor: string;
  readonly memo?: string;
  readonly correlationId: string;
}

/** What happens to the money of providers: payments, their entries and mails, and what they resume. */
export class MoneyHistory {
  readonly #chronicle: Chronicle;
  readonly #timeline: Timeline;
  readonly #payments = new Map<Provider, number>();

  constructor(chronicle: Chronicle, timeline: Timeline) {
    this.#chronicle = chronicle;
    this.#timeline = timeline;
  }

  /** The id that the next entry of the account will have. */
  nextEntryId({ draft, version }: Provider): string {
    return idOf(this.#chronicle.seed, 'entry', `${draft.index}.${version + 1}`);
  }

  /** Writes down what moved the account. Answers the id of the entry. */
  entry({ provider, at, amountCents, version, balanceCents }: Posting, facts: EntryFacts): string {
    const id = idOf(this.#chronicle.seed, 'entry', `${provider.draft.index}.${version}`);
    this.#chronicle.rows.add('ledger_entry', {
      id,
      provider_id: provider.id,
      account_version: version,
      kind: facts.kind,
      amount_cents: amountCents,
      balance_after_cents: balanceCents,
      assignment_id: facts.assignmentId ?? null,
      payment_id: facts.paymentId ?? null,
      actor: facts.actor,
      memo: facts.memo ?? null,
      correlation_id: facts.correlationId,
      created_at: at,
    });
    return id;
  }

  /** Adds money with its entry, and tells what it resumed. */
  credit(provider: Provider, { amountCents, at, ...facts }: EntryFacts & { amountCents: number; at: number }): Posting {
    const ref = this.nextEntryId(provider);
    const { posting, resumed } = credit(provider, { amountCents, ref, at });
    this.entry(posting, facts);
    if (resumed.length > 0) {
      this.#chronicle.mail({
        template: 'subscriptions_resumed',
        variables: { count: resumed.length },
        ...this.#toProvider(provider, at, facts.correlationId),
        dedupeKey: `subscriptions_resumed:${provider.id}:${ref}`,
      });
    }
    return posting;
  }

  /** The first money of a provider; `onArrival` follows it. */
  open(provider: Provider, onArrival: (at: number) => void): void {
    const random = streamOf(this.#chronicle.seed, 'opening', provider.draft.index);
    const at = provider.createdAt + random.between(10, 60) * minuteMs;
    this.#pay(provider, { at, amountCents: provider.draft.openingCents, onArrival });
    if (random.chance(supply.goodwillShare)) this.#goodwill(provider, random);
  }

  /** Whoever runs short pays in again, if that is their habit. */
  runShort(provider: Provider, at: number): void {
    const { topUp, index } = provider.draft;
    const dearest = provider.subscriptions
      .filter(isWanted)
      .reduce((most, one) => Math.max(most, one.level.price_cents), 0);
    if (topUp === 'never' || provider.isPayingIn || provider.balance >= dearest) return;
    const random = streamOf(this.#chronicle.seed, 'top-up', `${index}.${provider.version}`);
    const { medianCents, sigma, sameDayMs, withinMs } = supply.topUp;
    const after = topUp === 'same_day' ? random.between(minuteMs, sameDayMs) : random.between(sameDayMs, withinMs);
    const amountCents = dollarsOf(random.logNormal(medianCents, sigma), Math.max(1_000, dearest));
    this.#pay(provider, { at: at + after, amountCents });
  }

  #pay(provider: Provider, wish: { at: number; amountCents: number; onArrival?: (at: number) => void }): void {
    provider.isPayingIn = this.#timeline.plan(wish.at, () => this.#start(provider, wish));
  }

  #start(provider: Provider, wish: { at: number; amountCents: number; onArrival?: (at: number) => void }): void {
    const { chronicle, number } = { chronicle: this.#chronicle, number: (this.#payments.get(provider) ?? 0) + 1 };
    this.#payments.set(provider, number);
    const name = `${provider.draft.index}.${number}`;
    const random = streamOf(chronicle.seed, 'payment', name);
    const payment = {
      id: idOf(chronicle.seed, 'payment', name),
      externalId: `ch_${idOf(chronicle.seed, 'charge', name)}`,
      name,
    };
    const isFailed = random.chance(supply.failedPaymentShare);
    const endsAt = wish.at + webhookAfter(random);
    const isEnded = this.#timeline.plan(endsAt, () =>
      this.#end(provider, { ...wish, payment, isFailed, endsAt, random }),
    );
    if (!isEnded)
      chronicle.rows.add('payment', paymentRow(provider, wish, { ...payment, status: 'pending', endsAt: wish.at }));
  }

  #end(provider: Provider, end: PaymentEnd): void {
    const { payment, endsAt, isFailed, amountCents, onArrival } = end;
    const { rows } = this.#chronicle;
    rows.add('payment', paymentRow(provider, end, { ...payment, status: isFailed ? 'failed' : 'succeeded', endsAt }));
    for (const event of webhooksOf(end)) rows.add('payment_event', event);
    provider.isPayingIn = false;
    if (isFailed)
      return this.#pay(provider, { at: endsAt + 30 * minuteMs, amountCents, ...(onArrival && { onArrival }) });
    const correlationId = `deposit-${payment.id}`;
    const facts = { kind: 'deposit', paymentId: payment.id, actor: `gateway:${gateway}`, correlationId } as const;
    const { balanceCents } = this.credit(provider, { ...facts, amountCents, at: endsAt });
    this.#chronicle.mail({
      template: 'deposit_receipt',
      variables: { payment_id: payment.id, amount_cents: amountCents, balance_after_cents: balanceCents },
      ...this.#toProvider(provider, endsAt, correlationId),
      related: { type: 'payment', id: payment.id },
      dedupeKey: `deposit_receipt:${payment.id}`,
    });
    onArrival?.(endsAt);
    // Also what was too little: who still runs short pays again.
    this.runShort(provider, endsAt);
  }

  #goodwill(provider: Provider, random: Random): void {
    const at = provider.createdAt + Math.floor(random.next() * (this.#chronicle.now - provider.createdAt));
    const memo = 'Goodwill for a slow answer of ours';
    const correlationId = `goodwill-${provider.id}`;
    const facts = { kind: 'manual_credit', actor: 'world-staff', memo, correlationId } as const;
    this.#timeline.plan(at, () => this.credit(provider, { ...facts, amountCents: random.between(1, 4) * 1_000, at }));
  }

  #toProvider(provider: Provider, at: number, correlationId: string) {
    const related = { type: 'provider', id: provider.id };
    return { to: provider.draft.email, fate: 'accepted', related, at, correlationId } as const;
  }
}

interface PaymentEnd {
  readonly at: number;
  readonly amountCents: number;
  readonly onArrival?: (at: number) => void;
  readonly payment: { readonly id: string; readonly externalId: string; readonly name: string };
  readonly isFailed: boolean;
  readonly endsAt: number;
  readonly random: Random;
}

const isWanted = (one: Subscription) => one.status === 'active' || (one.status === 'paused_funds' && !canPay(one));

function webhookAfter(random: Random): number {
  const { median, sigma, late } = supply.webhookMs;
  const after = 500 + Math.round(random.logNormal(median, sigma));
  return random.chance(supply.webhookShares.late) ? after + random.between(late / 9, late) : Math.min(after, dayMs);
}

function paymentRow(
  provider: Provider,
  { at, amountCents }: { at: number; amountCents: number },
  { id, externalId, status, endsAt }: { id: string; externalId: string; status: string; endsAt: number },
): RowOf<'payment'> {
  const isPending = status === 'pending';
  return {
    id,
    provider_id: provider.id,
    gateway: isPending ? null : gateway,
    external_id: isPending ? null : externalId,
    amount_cents: amountCents,
    status,
    version: isPending ? 1 : 2,
    created_at: at,
    updated_at: endsAt,
  };
}

/** What the gateway told of a payment. A telling that came twice left one row; one out of order moved nothing. */
function webhooksOf({ payment, isFailed, endsAt, random }: PaymentEnd): RowOf<'payment_event'>[] {
  const told = (kind: string, status: string, changed: boolean, at: number) => ({
    gateway,
    event_id: `ev_${kind}_${payment.externalId}`,
    payment_id: payment.id,
    status,
    body_sha256: `\\x${hash('sha256', `${payment.name}/${kind}`)}`,
    changed,
    created_at: at,
  });
  const end = told('end', isFailed ? 'failed' : 'succeeded', true, endsAt);
  return random.chance(supply.webhookShares.outOfOrder)
    ? [end, told('start', 'pending', false, endsAt + 2_000)]
    : [end];
}
