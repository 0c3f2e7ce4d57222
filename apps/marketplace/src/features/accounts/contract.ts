import { z } from 'zod';
import { emailAddress } from '../../email-address.ts';
import { pageQuery } from '../../page.ts';
import { registeredCredential, shownCredential } from '../../passkey-credential.ts';
import { cleanLine, cleanText } from '../../text.ts';

const mailedToken = z.string().min(1).max(200);
const moment = z.iso.datetime();

export const ok = z.strictObject({ ok: z.literal(true) });

export const verifyEmailRequest = z.strictObject({ token: mailedToken });
export const forgotPasswordRequest = z.strictObject({ email: z.string().trim().min(1).max(254) });
/** Only bounded here: what a chosen password must be is said by the rules of passwords. */
export const resetPasswordRequest = z.strictObject({ token: mailedToken, password: z.string().min(1).max(1024) });

export const ownSession = z.strictObject({
  id: z.uuid(),
  ip: z.string().nullable(),
  user_agent: z.string().nullable(),
  mfa: z.boolean(),
  current: z.boolean(),
  created_at: moment,
  last_seen_at: moment,
  expires_at: moment,
});

export const createTokenRequest = z.strictObject({
  name: cleanLine(1, 80),
  scopes: z
    .array(z.string().regex(/^[a-z_]{1,40}\.[a-z_]{1,40}$/, 'must be a permission'))
    .min(1)
    .max(100),
  expires_in_days: z.int().min(1).max(365),
});

export const apiToken = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  scopes: z.array(z.string()),
  created_at: moment,
  expires_at: moment,
  last_used_at: moment.nullable(),
  revoked_at: moment.nullable(),
});
export const createdToken = apiToken.extend({ token: z.string() });

/** Providers are added by a route of their own, as they need a company; their role never changes. */
export const staffRole = z.enum(['admin', 'viewer', 'responder', 'finance']);
export type StaffRole = z.infer<typeof staffRole>;

export const userCard = z.strictObject({
  id: z.uuid(),
  email: z.string(),
  display_name: z.string(),
  role: z.enum([...staffRole.options, 'provider']),
  status: z.enum(['active', 'disabled']),
  email_verified: z.boolean(),
  last_login_at: moment.nullable(),
  created_at: moment,
  version: z.int(),
});

export const userQuery = pageQuery.extend({
  role: userCard.shape.role.optional(),
  status: userCard.shape.status.optional(),
});

const memo = cleanText(10, 500);
export const addUserRequest = z.strictObject({
  email: emailAddress,
  role: staffRole,
  display_name: cleanLine(1, 120).optional(),
});
export const changeRoleRequest = z.strictObject({ role: staffRole, memo: memo.optional() });
export const userActionRequest = z.strictObject({ memo });
export const changedUser = userCard.extend({ changed: z.boolean() });
export const endedSessions = z.strictObject({ revoked: z.int() });

export const addPasskeyRequest = z.strictObject({ name: cleanLine(1, 80), credential: registeredCredential });
export const passkeyLoginRequest = z.strictObject({ credential: shownCredential });
export const passkey = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  created_at: moment,
  last_used_at: moment.nullable(),
});
export const passkeyList = z.strictObject({ items: z.array(passkey) });
