import type { EventDraft, Tx } from '@fmhl/ops';
import type { MailDraft } from '../email/index.ts';
import { updateLowBalance } from './queries.ts';

/** An account that the present transaction brought below its threshold by the entry `entryId`. */
export interface LowBalance {
  readonly providerId: string;
  readonly entryId: string;
  readonly email: string;
  readonly balanceCents: number;
  readonly thresholdCents: number;
}

/** The event of a crossing. Beside the account's own, whose versions number the ledger entries: its aggregate is the crossing. */
export function lowBalanceEvent({ providerId, entryId, balanceCents, thresholdCents }: LowBalance): EventDraft {
  return {
    stream: 'billing',
    type: 'balance.low',
    aggregateType: 'low_balance',
    aggregateId: entryId,
    aggregateVersion: 1,
    payload: { provider_id: providerId, balance_cents: balanceCents, threshold_cents: thresholdCents },
  };
}

/** The note to the provider, once for each crossing. */
export function lowBalanceMail({ providerId, entryId, email, balanceCents, thresholdCents }: LowBalance): MailDraft {
  return {
    template: 'low_balance',
    to: email,
    dedupeKey: `low_balance:${entryId}`,
    related: { type: 'provider', id: providerId },
    variables: { balance_cents: balanceCents, threshold_cents: thresholdCents },
  };
}

/** Sets the balance below which a provider gets a note, in cents; null for never. Works before the first money arrives. */
export async function setLowBalance(tx: Tx, providerId: string, cents: number | null): Promise<void> {
  await updateLowBalance(tx, providerId, cents);
}
