import { z } from 'zod';
import { emailAddress } from '../../email-address.ts';
import { shownCredential } from '../../passkey-credential.ts';
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
  /** The token is good for `mfa/challenge` and `logout` alone, for five minutes; `methods` says what may be shown. */
  mfa_required: z.boolean(),
  methods: z.array(z.enum(['totp', 'recovery_code', 'passkey'])).optional(),
  user,
});

const code = z
  .string()
  .trim()
  .regex(/^\d{6}$/, 'six digits');
const recoveryCode = z.string().trim().min(15).max(40);

export const challengeRequest = z.union([
  z.strictObject({ code }),
  z.strictObject({ recovery_code: recoveryCode }),
  z.strictObject({ passkey: shownCredential }),
]);
export type ChallengeRequest = z.infer<typeof challengeRequest>;

/** A full session, in place of the one that asked. */
export const sessionResponse = z.strictObject({
  token: z.string(),
  token_type: z.literal('Bearer'),
  expires_at: z.iso.datetime(),
});

export const enrolResponse = z.strictObject({
  /** Base32, for who types it into an app. */
  secret: z.string(),
  /** The same for an app that reads it from a QR code. */
  otpauth_url: z.string(),
});

export const verifyRequest = z.strictObject({ code });

export const verifyResponse = sessionResponse.extend({
  enabled: z.literal(true),
  /** Each opens one session in place of a code. Shown here only. */
  recovery_codes: z.array(z.string()).length(10),
});

export const disableRequest = z.union([
  z.strictObject({ password, code }),
  z.strictObject({ password, recovery_code: recoveryCode }),
]);
export type DisableRequest = z.infer<typeof disableRequest>;

export const disableResponse = z.strictObject({ enabled: z.literal(false) });

export const logoutRequest = z.strictObject({ all: z.boolean().default(false) }).nullish();

export const meResponse = z.strictObject({
  user,
  session: z.strictObject({ mfa: z.boolean(), mfa_at: z.iso.datetime().nullable(), expires_at: z.iso.datetime() }),
});
