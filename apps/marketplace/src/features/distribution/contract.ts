import { z } from 'zod';

const step = z.object({
  level_id: z.uuid(),
  ord: z.int(),
  slots: z.int(),
  candidates: z.int(),
  examined: z.int(),
  served: z.int(),
  paused: z.int(),
});

/** One attempt to sell a lead. */
export const runView = z.object({
  id: z.uuid(),
  sale_no: z.int(),
  attempt: z.int(),
  trigger: z.enum(['approved', 'admin', 'retry']),
  start_ord: z.int().nullable(),
  outcome: z.enum(['distributed', 'unsold', 'niche_paused']),
  matched: z.int(),
  assigned: z.int(),
  skipped: z.record(z.string(), z.int()),
  steps: z.array(step),
  ms: z.int(),
  correlation_id: z.string(),
  created_at: z.iso.datetime(),
});
export type RunView = z.infer<typeof runView>;

/** Who bought a lead, on which terms, and what came of it. */
export const saleView = z.object({
  id: z.uuid(),
  provider_id: z.uuid(),
  company: z.string(),
  subscription_id: z.uuid(),
  level_id: z.uuid(),
  level: z.string(),
  price_cents: z.int(),
  slot: z.int(),
  assigned_at: z.iso.datetime(),
  refunded_at: z.iso.datetime().nullable(),
  /** The entry that gave the price back. */
  refund: z
    .object({ entry_id: z.uuid(), amount_cents: z.int(), actor: z.string(), memo: z.string().nullable() })
    .nullable(),
  report: z.object({ reason: z.string().nullable(), status: z.string(), via: z.string() }).nullable(),
  viewed_at: z.iso.datetime().nullable(),
  decision: z.enum(['accepted', 'declined']).nullable(),
  /** The mail that told the provider; null where it is missing. */
  mail: z
    .object({ id: z.uuid(), status: z.string(), attempts: z.int(), sent_at: z.iso.datetime().nullable() })
    .nullable(),
});
export type SaleView = z.infer<typeof saleView>;
