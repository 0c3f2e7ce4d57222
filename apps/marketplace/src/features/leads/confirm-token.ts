import type { Keys } from '../../keys.ts';

/** What a confirmation link stands for: a lead, and which of its links it is. */
export interface ConfirmClaim {
  readonly leadId: string;
  /** 1 for the first link, raised by each resend. */
  readonly nonce: number;
}

const idBytes = 16;
const macBytes = 32;
const purpose = 'lead_confirm';

/** The token of a confirmation link: lead id, nonce and their HMAC-SHA256. Made when the mail is sent, stored nowhere. */
export function confirmToken(keys: Keys, { leadId, nonce }: ConfirmClaim): string {
  const head = Buffer.concat([Buffer.from(leadId.replaceAll('-', ''), 'hex'), Buffer.of(nonce)]);
  return Buffer.concat([head, Buffer.from(keys.sign(purpose, head), 'base64url')]).toString('base64url');
}

/** What a token claims, or undefined when we did not make it. */
export function readConfirmToken(keys: Keys, token: string): ConfirmClaim | undefined {
  const bytes = Buffer.from(token, 'base64url');
  if (bytes.length !== idBytes + 1 + macBytes || bytes.toString('base64url') !== token) return undefined;
  const head = bytes.subarray(0, idBytes + 1);
  if (!keys.isSigned(purpose, head, bytes.toString('base64url', idBytes + 1))) return undefined;
  const hex = head.toString('hex', 0, idBytes);
  const leadId = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return { leadId, nonce: head.readUInt8(idBytes) };
}
