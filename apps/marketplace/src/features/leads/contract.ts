import { z } from 'zod';
import { emailAddress } from '../../email-address.ts';
import { pageOf, pageQuery } from '../../paging.ts';
import { cleanLine, cleanText } from '../../text.ts';

export const leadStatus = z.enum([
  'pending_confirmation',
  'pending_approval',
  'approved',
  'distributed',
  'unsold',
  'rejected',
  'expired',
  'bad',
]);
export type LeadStatus = z.infer<typeof leadStatus>;

export const riskFlag = z.enum(['duplicate', 'disposable', 'ip_many']);

const utm = z.strictObject({
  source: cleanLine(0, 100).optional(),
  medium: cleanLine(0, 100).optional(),
  campaign: cleanLine(0, 100).optional(),
  term: cleanLine(0, 100).optional(),
  content: cleanLine(0, 100).optional(),
});

const consentExpected = 'is required: { version }, of the consent text that was agreed to';

export const leadSubmission = z.strictObject({
  niche: cleanLine(1, 64).describe('Slug of the niche.'),
  name: cleanLine(1, 120),
  email: emailAddress,
  phone: cleanLine(5, 32).optional().describe('With country code; without one it is read as a number of the US.'),
  postcode: cleanLine(5, 10)
    .regex(/^\d{5}(-\d{4})?$/, 'must be a US ZIP code, such as 94107')
    .optional(),
  form: z.record(z.string().max(64), z.unknown()).describe("Answers to the fields of the niche's form."),
  consent: z
    .strictObject(
      { version: z.int().min(1) },
      { error: ({ input }) => (input === undefined ? consentExpected : undefined) },
    )
    .describe('Version of the consent text that was agreed to.'),
  source: cleanLine(1, 100).optional(),
  campaign: cleanLine(1, 100).optional(),
  utm: utm.optional(),
  website: z.string().max(500).optional().describe('Leave empty: people do not see this field.'),
});
export type LeadSubmission = z.infer<typeof leadSubmission>;

export const leadAccepted = z.object({ id: z.uuid(), status: z.literal('pending_confirmation') });
export type LeadAccepted = z.infer<typeof leadAccepted>;

export const confirmation = z.strictObject({ token: z.string().min(1).max(200) });
/** The answer of the first click, also to later ones: what the staff decide about a lead is not told here. */
export const confirmed = z.object({ id: z.uuid(), status: z.literal('pending_approval') });

export const mailSentAgain = z.object({ ok: z.literal(true) });

export const rejection = z.strictObject({ reason: cleanText(5, 500) });
export const distribution = z.strictObject({ memo: cleanText(10, 500) });
/** `job_id` is the run key of the sale; null where none was planned. */
export const reviewed = z.object({ status: leadStatus, changed: z.boolean() });
export const sold = reviewed.extend({ job_id: z.string().nullable() });

const reasonOf = { approve: 0, reject: 5, distribute: 10 } as const;
export const bulkRequest = z
  .strictObject({
    action: z.enum(['approve', 'reject', 'distribute']),
    ids: z.array(z.uuid()).min(1).max(50),
    reason: cleanText(5, 500).optional().describe('Required to reject (5 characters) and to distribute (10).'),
  })
  .refine(({ action, reason = '' }) => reason.length >= reasonOf[action], {
    path: ['reason'],
    error: 'is required: 5 characters or more to reject, 10 to distribute',
  });
export const bulkResults = z.object({
  results: z.array(z.object({ id: z.uuid(), ok: z.boolean(), code: z.string().optional() })),
});

export const erasure = z.strictObject({ token: z.string().min(1).max(200) });
export const erasureMemo = z.strictObject({ memo: cleanText(10, 500) });
export const erased = z.object({ id: z.uuid(), erased_at: z.iso.datetime() });
export const erasedByStaff = erased.extend({ changed: z.boolean() });

export const leadQuery = pageQuery.extend({
  status: leadStatus.optional(),
  niche: cleanLine(1, 64).optional(),
  source: cleanLine(1, 100).optional(),
  flag: riskFlag.optional(),
  age: z.coerce.number().int().min(0).max(315_360_000).optional().describe('Least age in seconds.'),
});
export type LeadQuery = z.infer<typeof leadQuery>;

const moment = z.iso.datetime();
const nicheRef = z.object({ id: z.uuid(), slug: z.string(), name: z.string() });

export const leadItem = z.object({
  id: z.uuid(),
  niche: nicheRef,
  status: leadStatus,
  email_masked: z.string().nullable(),
  source: z.string().nullable(),
  campaign: z.string().nullable(),
  is_test: z.boolean(),
  duplicate_of: z.uuid().nullable(),
  risk_flags: z.array(z.string()),
  created_at: moment,
  confirmed_at: moment.nullable(),
  erased_at: moment.nullable(),
  age_seconds: z.int(),
  assigned_count: z.int(),
  recipient_cap: z.int().nullable(),
});
export const leadList = pageOf(leadItem);

const duplicate = z.object({ id: z.uuid(), status: leadStatus, created_at: moment });
const mail = z.object({
  id: z.uuid(),
  template: z.string(),
  status: z.string(),
  attempts: z.int(),
  smtp_code: z.int().nullable(),
  created_at: moment,
  sent_at: moment.nullable(),
});

export const leadDetail = leadItem.omit({ email_masked: true }).extend({
  name: z.string().nullable(),
  email: z.string().nullable(),
  phone: z.string().nullable(),
  area_codes: z.array(z.string()),
  form: z.record(z.string(), z.unknown()),
  utm: z.record(z.string(), z.string()).nullable(),
  ip: z.string().nullable(),
  correlation_id: z.string(),
  approved_by: z.string().nullable(),
  approved_at: moment.nullable(),
  rejected_by: z.string().nullable(),
  rejected_at: moment.nullable(),
  reject_reason: z.string().nullable(),
  sale_no: z.int(),
  start_ord: z.int().nullable(),
  distributed_at: moment.nullable(),
  unsold_tries: z.int(),
  next_try_at: moment.nullable(),
  sale_verdict: z.enum(['in_time', 'late']).nullable(),
  bad_by: z.string().nullable(),
  bad_at: moment.nullable(),
  bad_memo: z.string().nullable(),
  version: z.int(),
  consent: z
    .object({
      text_version: z.int(),
      text_sha256: z.string(),
      page_url: z.string().nullable(),
      ip: z.string().nullable(),
      user_agent: z.string().nullable(),
      consented_at: moment,
    })
    .nullable(),
  duplicates: z.array(duplicate),
  mails: z.array(mail),
  runs: z.array(z.unknown()),
  assignments: z.array(z.unknown()),
  truncated: z.boolean().describe('There are more duplicates, mails or runs than the first, which are shown.'),
});
