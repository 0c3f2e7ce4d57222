import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import type { RegisteredCredential, ShownCredential } from '../passkey-credential.ts';

/** How one ceremony of the authenticator differs from an honest one. */
export interface Ceremony {
  /** The page that asks. */
  origin?: string;
  rpId?: string;
  /** Whether it checked who its user is. Default true. */
  verifiesUser?: boolean;
  /** Its signature count, in place of one more than before. */
  signCount?: number;
  /** What the user is said to be, in place of what was stored with the key. */
  userHandle?: string;
}

export interface Authenticator {
  create(options: { challenge: string; user?: unknown }, ceremony?: Ceremony): RegisteredCredential;
  get(options: { challenge: string }, ceremony?: Ceremony): ShownCredential;
}

const present = 0x01;
const verified = 0x04;
const attested = 0x40;

/** An authenticator in software: ES256, one key, counting its signatures. It speaks WebAuthn as a browser passes it on. */
export function openAuthenticator(site: { origin: string; rpId: string }): Authenticator {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const credentialId = randomBytes(32);
  const id = credentialId.toString('base64url');
  let count = 0;
  let handle: string | undefined;
  const dataOf = ({ rpId = site.rpId, verifiesUser = true, signCount }: Ceremony, flags: number) => {
    count = signCount ?? count + 1;
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(count);
    return Buffer.concat([sha256(rpId), Buffer.of(flags | present | (verifiesUser ? verified : 0)), counter]);
  };
  const clientData = (type: string, challenge: string, { origin = site.origin }: Ceremony) =>
    Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }));
  return {
    create({ challenge, user }, ceremony = {}) {
      handle = (user as { id?: string } | undefined)?.id;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(credentialId.length);
      const key = Buffer.concat([Buffer.alloc(16), length, credentialId, coseKey(publicKey)]);
      const data = Buffer.concat([dataOf(ceremony, attested), key]);
      const attestation = cborMap([
        [cborText('fmt'), cborText('none')],
        [cborText('attStmt'), cborMap([])],
        [cborText('authData'), cborBytes(data)],
      ]);
      const clientDataJSON = clientData('webauthn.create', challenge, ceremony).toString('base64url');
      const response = {
        clientDataJSON,
        attestationObject: attestation.toString('base64url'),
        transports: ['internal'],
      };
      return { id, rawId: id, type: 'public-key', response };
    },
    get({ challenge }, ceremony = {}) {
      const data = dataOf(ceremony, 0);
      const client = clientData('webauthn.get', challenge, ceremony);
      const signature = sign('sha256', Buffer.concat([data, sha256(client)]), privateKey);
      const response = {
        clientDataJSON: client.toString('base64url'),
        authenticatorData: data.toString('base64url'),
        signature: signature.toString('base64url'),
        userHandle: ceremony.userHandle ?? handle,
      };
      return { id, rawId: id, type: 'public-key', response };
    },
  };
}

const sha256 = (text: string | Buffer): Buffer => createHash('sha256').update(text).digest();

/** The public key as COSE writes it: EC2, ES256, P-256, x, y. */
function coseKey(publicKey: KeyObject): Buffer {
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  return cborMap([
    [Buffer.of(0x01), Buffer.of(0x02)],
    [Buffer.of(0x03), Buffer.of(0x26)],
    [Buffer.of(0x20), Buffer.of(0x01)],
    [Buffer.of(0x21), cborBytes(Buffer.from(x, 'base64url'))],
    [Buffer.of(0x22), cborBytes(Buffer.from(y, 'base64url'))],
  ]);
}

const cborText = (text: string): Buffer => Buffer.concat([cborHead(0x60, text.length), Buffer.from(text)]);
const cborBytes = (bytes: Buffer): Buffer => Buffer.concat([cborHead(0x40, bytes.length), bytes]);
const cborMap = (pairs: [Buffer, Buffer][]): Buffer => Buffer.concat([cborHead(0xa0, pairs.length), ...pairs.flat()]);

function cborHead(type: number, length: number): Buffer {
  if (length < 24) return Buffer.of(type | length);
  return length < 256 ? Buffer.of(type | 24, length) : Buffer.of(type | 25, length >> 8, length & 0xff);
}
