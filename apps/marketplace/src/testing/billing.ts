import { type Database, systemActor } from '@fmhl/ops';
import { type BillingDeps, credit, setLowBalance } from '../features/billing/index.ts';

export interface CreditOverrides {
  providerId: string;
  /** Default 100,000. */
  amountCents?: number;
  /** Threshold for a note about a low balance; default none. */
  lowBalanceCents?: number;
}

/** Money by hand on a provider's account, with its ledger entry; resumes what it can pay. Answers the balance in cents. */
export async function makeCredit(db: Database, overrides: CreditOverrides, deps: BillingDeps): Promise<number> {
  const { providerId, amountCents = 100_000, lowBalanceCents } = overrides;
  return db.transaction(async (tx) => {
    if (lowBalanceCents !== undefined) await setLowBalance(tx, providerId, lowBalanceCents);
    const { entry } = await credit(
      tx,
      { providerId, kind: 'manual_credit', amountCents, actor: systemActor, memo: 'test' },
      deps,
    );
    return entry.balance_cents;
  });
}
