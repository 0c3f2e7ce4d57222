import { type Actor, appendEvents, type Tx } from '@fmhl/ops';
import { type MailDraft, queueMails } from '../email/index.ts';
import { resumeFunded } from '../subscriptions/index.ts';
import { type BillingDeps, measured } from './measure.ts';
import { type PostedEntry, postCredit } from './queries.ts';

export interface Credit {
  providerId: string;
  kind: 'manual_credit' | 'deposit';
  /** More than 0. */
  amountCents: number;
  memo?: string;
  /** Of a deposit: the payment it settles, credited at most once. */
  paymentId?: string;
  actor: Actor;
}

/**
 * Adds money to a provider's account with its ledger entry, event and receipt, and resumes the subscriptions it can now pay.
 * Answers the entry and the number of resumed subscriptions. A second credit of one payment throws.
 */
export async function credit(
  tx: Tx,
  input: Credit,
  deps: BillingDeps,
): Promise<{ entry: PostedEntry; resumed: number }> {
  const operation = input.kind === 'deposit' ? 'deposit' : 'adjust';
  return measured(tx, operation, deps, async () => {
    const entry = await postCredit(tx, { ...input, actor: input.actor.id });
    await appendEvents(tx, [
      balanceEvent(input.kind === 'deposit' ? 'balance.deposited' : 'balance.adjusted', input, entry),
    ]);
    if (input.paymentId) await queueMails(tx, [receipt(input, input.paymentId, entry)]);
    const resumed = await resumeFunded(tx, { providerIds: [input.providerId], cause: input.kind, ref: entry.id });
    tx.afterCommit(() =>
      deps.log.info('balance_credited', {
        provider_id: input.providerId,
        entry_id: entry.id,
        kind: input.kind,
        amount_cents: input.amountCents,
        resumed,
      }),
    );
    return { entry, resumed };
  });
}

/** The fact of one ledger entry. Its aggregate is the account, whose version the entry carries. */
export function balanceEvent(
  type: 'balance.deposited' | 'balance.adjusted',
  { providerId, amountCents }: { providerId: string; amountCents: number },
  entry: PostedEntry,
) {
  return {
    stream: 'billing',
    type,
    aggregateType: 'account',
    aggregateId: providerId,
    aggregateVersion: entry.version,
    payload: {
      provider_id: providerId,
      entry_id: entry.id,
      amount_cents: amountCents,
      balance_after_cents: entry.balance_cents,
    },
  };
}

function receipt({ amountCents }: Credit, paymentId: string, entry: PostedEntry): MailDraft {
  return {
    template: 'deposit_receipt',
    to: entry.email,
    dedupeKey: `deposit_receipt:${paymentId}`,
    related: { type: 'payment', id: paymentId },
    variables: { payment_id: paymentId, amount_cents: amountCents, balance_after_cents: entry.balance_cents },
  };
}
