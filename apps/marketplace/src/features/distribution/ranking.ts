/** Divides by every weight from 1 to 10, so that virtual time stays whole. */
const fullTurn = 2520;

/** A subscription that may buy, in the fair order of its level. */
export interface Candidate {
  readonly subscriptionId: string;
  readonly providerId: string;
  /** Virtual time: who was served longest ago, for their weight, has the smallest. */
  readonly vt: number;
  readonly weight: number;
  readonly balanceCents: number;
  /** The provider's own day, and which sale of that day this one would be. */
  readonly day: string;
  readonly dayNumber: number;
  readonly dailyCap: number | null;
}

export interface Choice {
  readonly served: readonly (Candidate & { readonly nextVt: number })[];
  /** Stood before someone served and cannot pay: to be paused for funds. */
  readonly unfunded: readonly Candidate[];
  /** The level's virtual time after the choice. */
  readonly clock: number;
}

/**
 * Serves the first `slots` candidates who can pay. Who is ranked before the last served and cannot pay is unfunded; the rest are left alone.
 * The clock follows the largest time served: were it the smallest, laggards would hoard.
 */
export function choose(
  candidates: readonly Candidate[],
  { slots, priceCents, vclock }: { slots: number; priceCents: number; vclock: number },
): Choice {
  const canPay = (candidate: Candidate) => candidate.balanceCents >= priceCents;
  const picks = candidates.filter(canPay).slice(0, Math.max(0, slots));
  const last = picks.at(-1);
  if (!last) return { served: [], unfunded: [], clock: vclock };
  const clock = Math.max(vclock, ...picks.map((pick) => pick.vt));
  return {
    served: picks.map((pick) => ({ ...pick, nextVt: clock + fullTurn / pick.weight })),
    unfunded: candidates.slice(0, candidates.indexOf(last)).filter((candidate) => !canPay(candidate)),
    clock,
  };
}
