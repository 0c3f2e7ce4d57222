import { z } from 'zod';
import { pageOf, pageQuery } from '../../page.ts';
import { cleanLine, cleanText } from '../../text.ts';

const status = z.enum(['queued', 'sending', 'sent', 'failed', 'suppressed']);
const moment = z.iso.datetime();

export const emailQuery = pageQuery.extend({
  status: status.optional(),
  template: cleanLine(1, 60).optional(),
  related: z
    .string()
    .max(100)
    .regex(/^[a-z_]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a type and an id, such as lead:…')
    .optional()
    .describe('What it is about, such as `lead:<id>`, `assignment:<id>`, `provider:<id>`.'),
});
export type EmailQuery = z.infer<typeof emailQuery>;

/** A mail without its address in full. */
export const emailItem = z.object({
  id: z.uuid(),
  template: z.string(),
  template_version: z.int(),
  to_masked: z.string(),
  related: z.object({ type: z.string(), id: z.uuid() }).nullable(),
  status,
  attempts: z.int(),
  smtp_code: z.int().nullable(),
  last_error: z.string().nullable(),
  resends: z.int(),
  created_at: moment,
  sent_at: moment.nullable(),
});
export type EmailItem = z.infer<typeof emailItem>;
export const emailList = pageOf(emailItem);

export const resendRequest = z.strictObject({
  memo: cleanText(10, 500),
  lift_suppression: z
    .boolean()
    .default(false)
    .describe('Whether an address whose mailbox once refused a mail may take mails again.'),
});
export const resent = z.object({ id: z.uuid(), status: z.literal('queued') });

export const templateParams = z.strictObject({ name: cleanLine(1, 60) });
export const templateItem = z.object({
  name: z.string(),
  version: z.int(),
  /** Goes before the others, as someone waits for it. */
  urgent: z.boolean(),
  variables: z.array(z.string()),
});
export const templateList = z.object({ items: z.array(templateItem) });
export const templatePreview = templateItem.extend({ subject: z.string(), text: z.string(), html: z.string() });
