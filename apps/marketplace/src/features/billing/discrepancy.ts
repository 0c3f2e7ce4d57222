/** What one locked account and its ledger say. Cents; versions number the entries of the account from 1. */
export interface Finding {
  readonly providerId: string;
  /** What the account holds. */
  readonly cachedCents: number;
  /** The sum of its entries. */
  readonly ledgerCents: number;
  /** A number is missing among the entries, or behind the last, and no correction explains it. */
  readonly hasGap: boolean;
  /** Furthest that an entry's balance lies from the sum up to it, outside of what corrections explain. */
  readonly strayCents: number;
  /** A person was asked before and has not answered. */
  readonly hasOpenCase: boolean;
}

export type Cause = 'difference' | 'broken_chain' | 'below_zero';
export type Verdict =
  | { readonly does: 'nothing' | 'tolerates' | 'corrects' }
  | { readonly does: 'alerts'; readonly cause: Cause };

/** Differences up to this are left and counted: one cent. */
export const toleranceCents = 1;
/** Differences up to this are corrected; beyond it a person looks: one dollar. */
export const alertCents = 100;

/** What is done about an account: the ledger is the truth, and only a small difference of a sound ledger is corrected by itself. */
export function judge(finding: Finding): Verdict {
  const size = Math.abs(finding.cachedCents - finding.ledgerCents);
  if (finding.ledgerCents < 0) return { does: 'alerts', cause: 'below_zero' };
  // While a difference lasts, each new entry carries it on; without one, or beyond a dollar, an entry was written wrong.
  const mostStray = size > toleranceCents ? alertCents : toleranceCents;
  if (finding.hasGap || finding.strayCents > mostStray) return { does: 'alerts', cause: 'broken_chain' };
  if (size > alertCents) return { does: 'alerts', cause: 'difference' };
  if (size <= toleranceCents) return { does: size === 0 ? 'nothing' : 'tolerates' };
  return finding.hasOpenCase ? { does: 'alerts', cause: 'difference' } : { does: 'corrects' };
}
