/** A letter that may be in the canary. */
export interface Candidate {
  readonly ord: number;
  /** Queue, kind and shape of the payload: what makes it unlike others. */
  readonly stratum: string;
}

/**
 * Picks the canary from candidates in the order of the plan: the first, the last, one of each stratum, and then evenly from the rest.
 * Pure.
 */
export function pickCanary<Item extends Candidate>(candidates: readonly Item[], size: number): Item[] {
  const picked = new Map<number, Item>();
  const strata = new Set<string>();
  const take = (item: Item | undefined) => {
    if (!item || picked.size >= size) return;
    picked.set(item.ord, item);
    strata.add(item.stratum);
  };
  take(candidates[0]);
  take(candidates.at(-1));
  for (const item of candidates) if (!strata.has(item.stratum)) take(item);
  const rest = candidates.filter(({ ord }) => !picked.has(ord));
  const step = rest.length / Math.max(1, size - picked.size);
  for (let at = 0; at < rest.length && picked.size < size; at += Math.max(1, step)) take(rest[Math.floor(at)]);
  return [...picked.values()];
}

export interface CanaryItem {
  readonly outcome: string;
}

export interface CanaryFacts {
  readonly items: readonly CanaryItem[];
  /** Fingerprints met that the plan does not know. */
  readonly newFingerprints: readonly string[];
  /** The time for its outcomes is over. */
  readonly isOver: boolean;
}

export interface CanaryVerdict {
  readonly verdict: 'passed' | 'failed' | 'inconclusive';
  readonly why: string;
}

/** Judges a canary; undefined while it may still go either way. Pure. */
export function judgeCanary(
  { items, newFingerprints, isOver }: CanaryFacts,
  minSuccess: number,
): CanaryVerdict | undefined {
  if (newFingerprints.length > 0) {
    return { verdict: 'failed', why: `an error that the plan does not know: ${newFingerprints.join(', ')}` };
  }
  const sent = items.filter(({ outcome }) => outcome !== 'skipped' && outcome !== 'cancelled');
  const succeeded = sent.filter(({ outcome }) => outcome === 'succeeded').length;
  const failed = sent.filter(({ outcome }) => outcome === 'failed').length;
  if (failed > 0 && (sent.length - failed) / sent.length < minSuccess) {
    return { verdict: 'failed', why: `${failed} of ${sent.length} failed; at least ${minSuccess} must succeed` };
  }
  if (succeeded + failed === sent.length) return { verdict: 'passed', why: `${succeeded} of ${sent.length} succeeded` };
  if (!isOver) return undefined;
  return {
    verdict: 'inconclusive',
    why: `${sent.length - succeeded - failed} of ${sent.length} had no outcome in time`,
  };
}
