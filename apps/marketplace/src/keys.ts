import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** What a key is for: keys of different purposes tell nothing of each other. */
export type Purpose = string;

/** That of the seals of the audit chain. */
export const auditPurpose: Purpose = 'audit-chain';

/**
 * Everything that is signed or sealed under TOKEN_KEY. New signatures and seals are of the current key; those of the previous one hold
 * as long as TOKEN_KEY_PREVIOUS names it.
 */
export interface Keys {
  /** HMAC-SHA256 in base64url. */
  sign(purpose: Purpose, text: string | Buffer): string;
  /** Whether the current or the previous key signed this very text for this purpose; compared in constant time. Never throws. */
  isSigned(purpose: Purpose, text: string | Buffer, signature: string): boolean;
  /** AES-256-GCM: text of letters, digits and `.-_` that names its key and opens for the same purpose only. */
  seal(purpose: Purpose, plaintext: string | Buffer): string;
  /** The text that was sealed. Throws when it was changed, was sealed for another purpose or by a key that is neither of ours. */
  open(purpose: Purpose, sealed: string): string;
  /** Whether `sealed` is of the previous key and wants to be sealed anew. */
  isOutdated(sealed: string): boolean;
  /** Key material (32 bytes) of a purpose with a name that may be stored beside what it signs; the current one first. */
  derive(purpose: Purpose): readonly DerivedKey[];
}

export interface DerivedKey {
  /** 8 hex digits that follow from the root key; they do not tell it. */
  readonly id: string;
  readonly key: Buffer;
}

interface RootKey {
  readonly id: string;
  readonly bytes: Buffer;
}

const nonceBytes = 12;
const tagBytes = 16;

/** Both keys are hex. Without a current one (a command that needs none), every use throws. */
export function openKeys({
  tokenKey,
  previousTokenKey,
}: {
  tokenKey: string;
  previousTokenKey?: string | undefined;
}): Keys {
  const roots = [tokenKey, previousTokenKey].filter((hex) => hex).map((hex) => rootOf(hex ?? ''));
  const current = () => {
    if (!tokenKey || !roots[0]) throw new Error('TOKEN_KEY: required by what this command does');
    return roots[0];
  };
  return {
    sign: (purpose, text) => signatureOf(current(), purpose, text).toString('base64url'),
    isSigned: (purpose, text, signature) =>
      roots.some((root) => isSame(signatureOf(root, purpose, text), Buffer.from(signature, 'base64url'))),
    seal: (purpose, plaintext) => sealWith(current(), purpose, plaintext),
    open: (purpose, sealed) => openWith(roots, purpose, sealed),
    isOutdated: (sealed) => !sealed.startsWith(`${current().id}.`),
    derive: (purpose) => {
      current();
      return roots.map((root) => ({ id: root.id, key: derivedOf(root, purpose) }));
    },
  };
}

function rootOf(hex: string): RootKey {
  const bytes = Buffer.from(hex, 'hex');
  return { bytes, id: createHmac('sha256', bytes).update('key-id').digest('hex').slice(0, 8) };
}

/** A purpose has no NUL and a signed text comes after one: what signs is never what is derived. */
function derivedOf({ bytes }: RootKey, purpose: Purpose): Buffer {
  return createHmac('sha256', bytes).update(checked(purpose)).digest();
}

function signatureOf({ bytes }: RootKey, purpose: Purpose, text: string | Buffer): Buffer {
  return createHmac('sha256', bytes)
    .update(`${checked(purpose)}\0`)
    .update(text)
    .digest();
}

function checked(purpose: Purpose): string {
  if (!/^[a-z][a-z0-9_:-]*$/.test(purpose) || purpose === 'key-id') throw new Error(`${purpose} is not a purpose`);
  return purpose;
}

function isSame(expected: Buffer, given: Buffer): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given);
}

function sealWith(root: RootKey, purpose: Purpose, plaintext: string | Buffer): string {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', derivedOf(root, `seal:${purpose}`), nonce);
  const body = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return `${root.id}.${body.toString('base64url')}`;
}

function openWith(roots: readonly RootKey[], purpose: Purpose, sealed: string): string {
  const [id, text = ''] = sealed.split('.');
  const root = roots.find((one) => one.id === id);
  if (!root) throw new Error('sealed by a key that is neither TOKEN_KEY nor TOKEN_KEY_PREVIOUS');
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length < nonceBytes + tagBytes) throw new Error('not a sealed text');
  const nonce = bytes.subarray(0, nonceBytes);
  const key = derivedOf(root, `seal:${purpose}`);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAuthTag(bytes.subarray(-tagBytes));
  const opened = [decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()];
  return Buffer.concat(opened).toString('utf8');
}
