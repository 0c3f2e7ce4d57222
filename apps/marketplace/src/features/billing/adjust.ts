import { type Actor, appendEvents, audit, type Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import { queueMails } from '../email/index.ts';
import { pauseUnfunded } from '../subscriptions/index.ts';
import { balanceEvent, credit } from './credit.ts';
import { lowBalanceEvent, lowBalanceMail } from './low-balance.ts';
import { type BillingDeps, measured } from './measure.ts';
import { type PostedEntry, postDebit, providerExists } from './queries.ts';

export interface Adjustment {
  providerId: string;
  /** Not 0. Negative takes money. */
  amountCents: number;
  memo: string;
  actor: Actor;
}

export interface Adjusted {
  entry: PostedEntry;
  kind: 'manual_credit' | 'manual_debit';
  resumed: number;
  paused: number;
}

/**
 * Adds or takes money by hand. A credit resumes subscriptions, a debit pauses those that the rest does not pay.
 * Refuses `not_found` and `insufficient_balance` (nothing is ever taken below 0).
 */
export async function adjust(tx: Tx, input: Adjustment, deps: BillingDeps): Promise<Adjusted> {
  if (!(await providerExists(tx, input.providerId))) throw refuse('not_found');
  const adjusted = input.amountCents > 0 ? await addByHand(tx, input, deps) : await takeByHand(tx, input, deps);
  await audit(tx, {
    actor: input.actor,
    action: 'billing.adjusted',
    targetType: 'provider',
    targetId: input.providerId,
    reason: input.memo,
    details: {
      entry_id: adjusted.entry.id,
      amount_cents: input.amountCents,
      balance_after_cents: adjusted.entry.balance_cents,
    },
  });
  return adjusted;
}

async function addByHand(tx: Tx, input: Adjustment, deps: BillingDeps): Promise<Adjusted> {
  const { entry, resumed } = await credit(tx, { ...input, kind: 'manual_credit' }, deps);
  return { entry, kind: 'manual_credit', resumed, paused: 0 };
}

async function takeByHand(tx: Tx, input: Adjustment, deps: BillingDeps): Promise<Adjusted> {
  return measured(tx, 'adjust', deps, async () => {
    const { providerId } = input;
    const entry = await postDebit(tx, { ...input, kind: 'manual_debit', actor: input.actor.id });
    if (!entry) throw refuse('insufficient_balance');
    const low = entry.crossed_low
      ? [
          {
            providerId,
            entryId: entry.id,
            email: entry.email,
            balanceCents: entry.balance_cents,
            thresholdCents: entry.low_balance_cents ?? 0,
          },
        ]
      : [];
    await appendEvents(tx, [balanceEvent('balance.adjusted', input, entry), ...low.map(lowBalanceEvent)]);
    await queueMails(tx, low.map(lowBalanceMail));
    const paused = await pauseUnfunded(tx, { providerIds: [providerId], ref: entry.id });
    return { entry, kind: 'manual_debit', resumed: 0, paused };
  });
}
