import { z } from 'zod';
import { emailAddress } from '../../email-address.ts';
import { cleanLine } from '../../text.ts';
import { timeZone } from '../../time-zone.ts';

/** Only bounded here: what a chosen password must be is said by the rules of passwords. */
const password = z.string().min(1).max(1024);

export const registerRequest = z.strictObject({
  email: emailAddress,
  password,
  company: cleanLine(1, 120),
  tz: timeZone.default('UTC'),
});

export const registerResponse = z.strictObject({ ok: z.literal(true) });

export const loginRequest = z.strictObject({ email: z.string().trim().min(1).max(254), password });

export const user = z.strictObject({
  id: z.uuid(),
  email: z.string(),
  display_name: z.string(),
  role: z.enum(['admin', 'viewer', 'responder', 'finance', 'provider']),
  email_verified: z.boolean(),
});
export type User = z.infer<typeof user>;
export type Role = User['role'];

export const loginResponse = z.strictObject({
  token: z.string(),
  token_type: z.literal('Bearer'),
  expires_at: z.iso.datetime(),
  mfa_required: z.literal(false),
  user,
});

export const logoutRequest = z.strictObject({ all: z.boolean().default(false) }).nullish();

export const meResponse = z.strictObject({
  user,
  session: z.strictObject({ mfa: z.boolean(), mfa_at: z.iso.datetime().nullable(), expires_at: z.iso.datetime() }),
});
