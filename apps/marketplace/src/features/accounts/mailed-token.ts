import { Refusal } from '@fmhl/ops';
import type { Keys } from '../../keys.ts';
import { readSignedToken, signedToken, uuidBytes, uuidLength, uuidOf } from '../../signed-token.ts';

export type TokenPurpose = 'verify_email' | 'reset_password';

/** The token of a mailed link: the id of its row and a signature for its purpose. */
export function mailedToken(keys: Keys, id: string, purpose: TokenPurpose): string {
  return signedToken(keys, `user-token:${purpose}`, uuidBytes(id));
}

/** The id that a token stands for, or undefined when we did not make it for this purpose. */
export function readMailedToken(keys: Keys, token: string, purpose: TokenPurpose): string | undefined {
  const head = readSignedToken(keys, `user-token:${purpose}`, { token, length: uuidLength });
  return head && uuidOf(head);
}

/** 400 and not 401: the token is what was sent, not who sends it. */
export function unknownToken(): Refusal {
  return new Refusal('token_invalid', 400);
}
