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

/** Who bought a lead, on which terms. */
export const saleView = z.object({
  id: z.uuid(),
  provider_id: z.uuid(),
  subscription_id: z.uuid(),
  level_id: z.uuid(),
  price_cents: z.int(),
  slot: z.int(),
  assigned_at: z.iso.datetime(),
  refunded_at: z.iso.datetime().nullable(),
});
export type SaleView = z.infer<typeof saleView>;
