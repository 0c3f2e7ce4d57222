import { z } from 'zod';
import { filterOperators } from './contract.ts';

/** What a subscription's areas and filter would have made of the last 30 days. */
export const matchPreview = z.strictObject({
  /** False when it took too long: then nothing was counted. */
  complete: z.boolean(),
  days: z.int(),
  /** Approved leads of the niche that were looked at, newest first, and whether there were more. */
  leads: z.int(),
  truncated: z.boolean(),
  matched: z.int(),
  weeks: z.array(
    z.strictObject({
      /** The Monday, in UTC. */
      week: z.iso.date(),
      leads: z.int(),
      matched: z.int(),
    }),
  ),
  /** Each rule with the leads it refuses, those first that refuse most. The areas count all leads, a rule of the filter those in the areas. */
  excluded_by: z.array(
    z.strictObject({
      rule: z.enum(['areas', 'filter']),
      /** Place in `filter_rules`, from 0; null for the areas. */
      index: z.int().nullable(),
      field: z.string().nullable(),
      op: z.enum(filterOperators).nullable(),
      leads: z.int(),
      /** Refused by nothing else: so many more would match without this rule. */
      alone: z.int(),
    }),
  ),
});
export type MatchPreview = z.infer<typeof matchPreview>;
