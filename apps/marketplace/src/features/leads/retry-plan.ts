const minute = 60_000;
const hour = 60 * minute;

/** Waits before each further sale of a lead that found no buyer. */
const retryDelaysMs = [15 * minute, hour, 6 * hour, 24 * hour] as const;

/** Nothing starts the sale of a lead by itself that was approved longer ago than this. */
export const offeredForHours = 72;
/** A lead that found no buyer is offered until this long after its approval. */
const offeredForMs = offeredForHours * hour;

export type RetryPlan = { readonly kind: 'retry'; readonly delayMs: number } | { readonly kind: 'expire' };

/** What follows a sale without a buyer. `tries` counts the sales that failed, this one included. */
export function planRetry({ tries, approvedAt, now }: { tries: number; approvedAt: Date; now: Date }): RetryPlan {
  const delayMs = retryDelaysMs[tries - 1];
  const isOld = tries > 1 && now.getTime() - approvedAt.getTime() > offeredForMs;
  return delayMs === undefined || isOld ? { kind: 'expire' } : { kind: 'retry', delayMs };
}
