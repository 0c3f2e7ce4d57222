import { z } from 'zod';

/** What can stand between a subscription and a lead, in the order in which the first one is named. */
export const reasons = ['provider', 'paused', 'bought', 'area', 'cap', 'funds', 'filter'] as const;
export type Reason = (typeof reasons)[number];
const reason = z.enum(reasons);
const byReason = z.strictObject(Object.fromEntries(reasons.map((name) => [name, z.int()])) as Record<Reason, z.ZodInt>);

export const explanation = z.strictObject({
  lead_id: z.uuid(),
  status: z.string(),
  /** What keeps the lead itself from a sale now; null when it is for sale. */
  held_by: z.enum(['status', 'test', 'erased', 'niche_paused']).nullable(),
  /** False when there was no time for all: then `levels` and `nearest` are empty. */
  complete: z.boolean(),
  levels: z.array(
    z.strictObject({
      level_id: z.uuid(),
      name: z.string(),
      ord: z.int(),
      price_cents: z.int(),
      /** Places that may still be sold without breaking a promise. */
      slots: z.int(),
      subscriptions: z.int(),
      /** Would buy now. */
      eligible: z.int(),
      /** Each subscription that would not, by the first thing that stands against it. A filter is looked at last. */
      by_reason: byReason,
      /** Those against which nothing else stands. */
      near_misses: byReason,
    }),
  ),
  /** Some near misses, in the fair order. */
  nearest: z.array(
    z.strictObject({
      subscription_id: z.uuid(),
      provider_id: z.uuid(),
      company: z.string(),
      level_id: z.uuid(),
      reason,
    }),
  ),
});
export type Explanation = z.infer<typeof explanation>;
