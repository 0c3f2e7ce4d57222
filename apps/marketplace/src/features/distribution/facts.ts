import type { EventDraft } from '@fmhl/ops';
import { type LowBalance, lowBalanceEvent, lowBalanceMail } from '../billing/index.ts';
import type { MailDraft } from '../email/index.ts';
import type { LevelSale } from './level-sale.ts';
import type { Sold } from './queries.ts';

/** What the world is told of the sales at one level: the assignments, the charges, and balances that ran low. */
export function factsOf({ level, sold }: LevelSale, leadId: string): EventDraft[] {
  return sold.flatMap((one) => [
    assignmentCreated(one, { leadId, levelId: level.id, priceCents: level.price_cents }),
    balanceCharged(one, level.price_cents),
    ...lowBalanceOf(one).map(lowBalanceEvent),
  ]);
}

/** The mails that the sales at one level promise. */
export function mailsOf({ level, sold }: LevelSale, nicheName: string): MailDraft[] {
  return sold.flatMap((one) => [
    newLeadMail(one, { niche: nicheName, level: level.name, priceCents: level.price_cents }),
    ...lowBalanceOf(one).map(lowBalanceMail),
  ]);
}

function assignmentCreated(
  one: Sold,
  { leadId, levelId, priceCents }: { leadId: string; levelId: string; priceCents: number },
): EventDraft {
  return {
    stream: 'leads',
    type: 'assignment.created',
    aggregateType: 'assignment',
    aggregateId: one.id,
    aggregateVersion: 1,
    payload: {
      assignment_id: one.id,
      lead_id: leadId,
      provider_id: one.provider_id,
      level_id: levelId,
      price_cents: priceCents,
    },
  };
}

function balanceCharged(one: Sold, priceCents: number): EventDraft {
  return {
    stream: 'billing',
    type: 'balance.charged',
    aggregateType: 'account',
    aggregateId: one.provider_id,
    aggregateVersion: one.account_version,
    payload: {
      provider_id: one.provider_id,
      entry_id: one.entry_id,
      amount_cents: -priceCents,
      balance_after_cents: one.balance_cents,
      assignment_id: one.id,
    },
  };
}

/** The mail that tells a provider of a lead they bought. */
export function newLeadMail(
  one: Pick<Sold, 'id' | 'email'>,
  { niche, level, priceCents }: { niche: string; level: string; priceCents: number },
): MailDraft {
  return {
    template: 'new_lead',
    to: one.email,
    dedupeKey: `new_lead:${one.id}`,
    related: { type: 'assignment', id: one.id },
    variables: { assignment_id: one.id, niche_name: niche, level_name: level, price_cents: priceCents },
  };
}

function lowBalanceOf(one: Sold): LowBalance[] {
  if (!one.crossed_low) return [];
  return [
    {
      providerId: one.provider_id,
      entryId: one.entry_id,
      email: one.email,
      balanceCents: one.balance_cents,
      thresholdCents: one.low_balance_cents ?? 0,
    },
  ];
}
