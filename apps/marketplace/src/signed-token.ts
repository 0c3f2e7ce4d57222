import type { Keys, Purpose } from './keys.ts';

const macBytes = 32;

/** What a mailed link carries: some bytes with their signature for a purpose. Made when the mail is sent, stored nowhere. */
export function signedToken(keys: Keys, purpose: Purpose, head: Buffer): string {
  return Buffer.concat([head, Buffer.from(keys.sign(purpose, head), 'base64url')]).toString('base64url');
}

/** The `length` bytes that a token carries, or undefined when we did not make it for this purpose. */
export function readSignedToken(
  keys: Keys,
  purpose: Purpose,
  { token, length }: { token: string; length: number },
): Buffer | undefined {
  const bytes = Buffer.from(token, 'base64url');
  if (bytes.length !== length + macBytes || bytes.toString('base64url') !== token) return undefined;
  const head = bytes.subarray(0, length);
  return keys.isSigned(purpose, head, bytes.toString('base64url', length)) ? head : undefined;
}

export const uuidLength = 16;

/** The 16 bytes of a UUID. */
export function uuidBytes(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

/** The UUID that the first 16 bytes stand for. */
export function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex', 0, uuidLength);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
