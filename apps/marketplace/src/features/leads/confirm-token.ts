import type { Keys } from '../../keys.ts';
import { readSignedToken, signedToken, uuidBytes, uuidLength, uuidOf } from '../../signed-token.ts';

/** What a confirmation link stands for: a lead, and which of its links it is. */
export interface ConfirmClaim {
  readonly leadId: string;
  /** 1 for the first link, raised by each resend. */
  readonly nonce: number;
}

const purpose = 'lead_confirm';

/** The token of a confirmation link: lead id, nonce and their signature. */
export function confirmToken(keys: Keys, { leadId, nonce }: ConfirmClaim): string {
  return signedToken(keys, purpose, Buffer.concat([uuidBytes(leadId), Buffer.of(nonce)]));
}

/** What a token claims, or undefined when we did not make it. */
export function readConfirmToken(keys: Keys, token: string): ConfirmClaim | undefined {
  const head = readSignedToken(keys, purpose, { token, length: uuidLength + 1 });
  return head && { leadId: uuidOf(head), nonce: head.readUInt8(uuidLength) };
}
