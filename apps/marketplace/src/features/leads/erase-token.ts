import type { Keys } from '../../keys.ts';
import { readSignedToken, signedToken, uuidBytes, uuidLength, uuidOf } from '../../signed-token.ts';

const purpose = 'lead_erase';

/** The token of the link by which the person of a lead has their data removed. It is good as long as its key. */
export function eraseToken(keys: Keys, leadId: string): string {
  return signedToken(keys, purpose, uuidBytes(leadId));
}

/** The lead of a token, or undefined when we did not make it. */
export function readEraseToken(keys: Keys, token: string): string | undefined {
  const head = readSignedToken(keys, purpose, { token, length: uuidLength });
  return head && uuidOf(head);
}
