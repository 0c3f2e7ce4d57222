import type { SubscriptionStatus } from './contract.ts';

/** What a provider's wish makes of a subscription: its next status, or who or what stands against it. */
export type StatusVerdict = { next: SubscriptionStatus } | { refused: 'paused_by_admin' | 'invalid_state' };

/**
 * A provider pauses and resumes; a resumed subscription is active only if the balance pays it now. Cancelled is final,
 * and what an administrator paused stays so.
 */
export function afterWish(
  present: SubscriptionStatus,
  wish: 'active' | 'paused_user',
  isFunded: boolean,
): StatusVerdict {
  if (present === 'cancelled') return { refused: 'invalid_state' };
  if (present === 'paused_admin') return { refused: 'paused_by_admin' };
  if (wish === 'paused_user' || present === 'active') return { next: wish };
  return { next: entryStatus(isFunded) };
}

/** Where a new or resumed subscription begins. */
export function entryStatus(isFunded: boolean): 'active' | 'paused_funds' {
  return isFunded ? 'active' : 'paused_funds';
}

/** Where a subscription stands again after an administrator's pause. What its owner had paused stays so. */
export function afterAdminPause(pausedFrom: SubscriptionStatus | null, isFunded: boolean): SubscriptionStatus {
  return pausedFrom === 'paused_user' ? 'paused_user' : entryStatus(isFunded);
}
