import { z } from 'zod';
import { pageOf, pageQuery } from '../../page.ts';
import { cleanLine, cleanText } from '../../text.ts';

export const sourceParams = z.strictObject({ source: cleanLine(1, 100) });
export const sourceCursor = z.tuple([cleanLine(1, 100)]);
export const sourceQuery = pageQuery.extend({
  blocked: z.literal('true').optional().describe('Only those that are blocked.'),
});
export type SourceQuery = z.infer<typeof sourceQuery>;

export const sourceMemo = z.strictObject({ memo: cleanText(10, 500) });
export const sourceChanged = z.object({ source: z.string(), blocked: z.boolean(), changed: z.boolean() });

export const leadSource = z.object({
  source: z.string(),
  /** Null: its leads are taken in. */
  blocked_at: z.iso.datetime().nullable(),
  blocked_by: z.string().nullable(),
  memo: z.string().nullable(),
  last_lead_at: z.iso.datetime().nullable(),
  leads_24h: z.int().describe('Leads of the last 24 hours; 10,000 stands for more.'),
});
export type LeadSource = z.infer<typeof leadSource>;
export const sourceList = pageOf(leadSource);
