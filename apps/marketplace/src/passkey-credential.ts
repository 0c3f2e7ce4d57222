import { z } from 'zod';

const base64url = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[\w-]+$/, 'must be base64url');

/** What `navigator.credentials.create()` answers, as its `toJSON` writes it; what is not needed is left out. */
export const registeredCredential = z.object({
  id: base64url(1400),
  rawId: base64url(1400),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: base64url(4000),
    attestationObject: base64url(20_000),
    transports: z
      .array(z.string().regex(/^[a-z-]{1,40}$/))
      .max(10)
      .optional(),
  }),
});
export type RegisteredCredential = z.infer<typeof registeredCredential>;

/** What `navigator.credentials.get()` answers. */
export const shownCredential = z.object({
  id: base64url(1400),
  rawId: base64url(1400),
  type: z.literal('public-key'),
  response: z.object({
    clientDataJSON: base64url(4000),
    authenticatorData: base64url(4000),
    signature: base64url(4000),
    userHandle: base64url(100).nullish(),
  }),
});
export type ShownCredential = z.infer<typeof shownCredential>;

/** The JSON form of the browser's options, to be handed to it as it is. */
export const credentialOptions = z.looseObject({ challenge: z.string() });
