import { createHash } from 'node:crypto';
import { canonical } from '@fmhl/ops';

/** Who can pay a level before and after an edit of its price. */
export interface PriceEffect {
  /** Active subscriptions now. */
  readonly active: number;
  /** Of those, whose balance does not pay the new price. A provider has one subscription to a level, so these are as many providers. */
  readonly becomesUnfunded: number;
  /** Paused for funds now, and paid by the new price. */
  readonly becomesFunded: number;
}

export interface PriceEdit {
  readonly levelId: string;
  /** Of the level: an edit in between makes it another plan. */
  readonly version: number;
  readonly fromCents: number;
  readonly toCents: number;
}

/** Change in percent, to two places. */
export function changePct(fromCents: number, toCents: number): number {
  return Math.round(((toCents - fromCents) / fromCents) * 10_000) / 100;
}

/** What a caller saw, to be compared when the edit is made. */
export function planHash(edit: PriceEdit, { becomesUnfunded, becomesFunded }: PriceEffect): string {
  return createHash('sha256')
    .update(canonical({ ...edit, becomesUnfunded, becomesFunded }))
    .digest('hex');
}

/** Largest change of a price, in percent, without the level's name. */
const freeChangePct = 50;
/** Share of the active subscriptions that may become unfunded without it. */
const freeShare = 0.05;

/** Why an edit looks like a slip of the hand; none when it does not. */
export function doubtsOf({ fromCents, toCents }: PriceEdit, { active, becomesUnfunded }: PriceEffect): string[] {
  const doubts: string[] = [];
  if (Math.abs(changePct(fromCents, toCents)) > freeChangePct) doubts.push('large_change');
  if (becomesUnfunded > 0 && becomesUnfunded >= active * freeShare) doubts.push('many_unfunded');
  return doubts;
}
