import { createHmac, timingSafeEqual } from 'node:crypto';

/** Furthest a signature's time may lie from ours, in seconds. */
export const signatureWindowSeconds = 300;

const form = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/;

/** The `x-fmhl-signature` of a webhook: `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<raw body>">`. */
export function signWebhook(rawBody: Buffer | string, secret: string, at: Date): string {
  const seconds = Math.floor(at.getTime() / 1000);
  return `t=${seconds},v1=${digest(rawBody, secret, seconds)}`;
}

/** Whether `header` signs this very body with one of these secrets, not more than 5 minutes from `now`. Never throws. */
export function signatureHolds(header: unknown, rawBody: Buffer, secrets: readonly string[], now: Date): boolean {
  const [, seconds, signature] = (typeof header === 'string' && form.exec(header)) || [];
  if (seconds === undefined || signature === undefined) return false;
  if (Math.abs(now.getTime() / 1000 - Number(seconds)) > signatureWindowSeconds) return false;
  const given = Buffer.from(signature, 'hex');
  return secrets.some((secret) => timingSafeEqual(Buffer.from(digest(rawBody, secret, Number(seconds)), 'hex'), given));
}

function digest(rawBody: Buffer | string, secret: string, seconds: number): string {
  return createHmac('sha256', secret).update(`${seconds}.`).update(rawBody).digest('hex');
}
