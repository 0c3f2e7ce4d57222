import { z } from 'zod';
import { pageQuery } from '../../paging.ts';
import { cleanText } from '../../text.ts';

const status = z.enum(['new', 'viewed', 'accepted', 'declined']);

export const inboxQuery = pageQuery.extend({
  status: status.optional(),
  /** Slug of a niche. */
  niche: z.string().max(64).optional(),
  /** Id of a level. */
  level: z.uuid().optional(),
  /** Bought at or after, and before. */
  from: z.iso.datetime({ offset: true }).optional(),
  to: z.iso.datetime({ offset: true }).optional(),
  /** Part of a name, an e-mail address or a phone number. */
  q: cleanText(1, 100).optional(),
});
export type InboxQuery = z.infer<typeof inboxQuery>;

/** A lead as its buyer sees it. The person is null once erased. */
export const inboxItem = z.object({
  assignment_id: z.uuid(),
  lead_id: z.uuid(),
  status,
  niche: z.object({ slug: z.string(), name: z.string() }),
  level: z.object({ id: z.uuid(), name: z.string() }),
  price_cents: z.int(),
  assigned_at: z.iso.datetime(),
  refunded_at: z.iso.datetime().nullable(),
  name: z.string().nullable(),
  email: z.string().nullable(),
  phone: z.string().nullable(),
  area_codes: z.array(z.string()),
  viewed_at: z.iso.datetime().nullable(),
  decided_at: z.iso.datetime().nullable(),
  /** The own report of it as a bad lead, and what became of that. */
  report: z
    .object({
      status: z.enum(['pending', 'approved', 'rejected']),
      reason: z.string(),
      reported_at: z.iso.datetime(),
    })
    .nullable(),
});
export type InboxItem = z.infer<typeof inboxItem>;

export const inboxDetail = inboxItem.extend({
  form: z.record(z.string(), z.unknown()),
  submitted_at: z.iso.datetime(),
  /** Until when it can be reported. */
  report_until: z.iso.datetime(),
  erased_at: z.iso.datetime().nullable(),
  decline_reason: z.string().nullable(),
});
export type InboxDetail = z.infer<typeof inboxDetail>;

export const declineRequest = z.strictObject({ reason: cleanText(1, 500).optional() });

export const decisionResponse = z.object({
  assignment_id: z.uuid(),
  decision: z.enum(['accepted', 'declined']),
  decided_at: z.iso.datetime(),
  changed: z.boolean(),
});
