import { Refusal } from '@fmhl/ops';
import type { Keys } from '../../keys.ts';

export type TokenPurpose = 'verify_email' | 'reset_password';

const idBytes = 16;
const macBytes = 32;

/** The token of a mailed link: the id of its row and a signature for its purpose. Made when the mail is sent, stored nowhere. */
export function mailedToken(keys: Keys, id: string, purpose: TokenPurpose): string {
  const head = Buffer.from(id.replaceAll('-', ''), 'hex');
  const signature = Buffer.from(keys.sign(`user-token:${purpose}`, head), 'base64url');
  return Buffer.concat([head, signature]).toString('base64url');
}

/** The id that a token stands for, or undefined when we did not make it for this purpose. */
export function readMailedToken(keys: Keys, token: string, purpose: TokenPurpose): string | undefined {
  const bytes = Buffer.from(token, 'base64url');
  if (bytes.length !== idBytes + macBytes || bytes.toString('base64url') !== token) return undefined;
  const head = bytes.subarray(0, idBytes);
  if (!keys.isSigned(`user-token:${purpose}`, head, bytes.toString('base64url', idBytes))) return undefined;
  return head.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** 400 and not 401: the token is what was sent, not who sends it. */
export function unknownToken(): Refusal {
  return new Refusal('token_invalid', 400);
}
