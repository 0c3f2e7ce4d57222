import type { Queryable, Tx } from '@fmhl/ops';
import { refuse } from '../../errors.ts';
import type { RegisteredCredential, ShownCredential } from '../../passkey-credential.ts';
import {
  advancePasskey,
  insertChallenge,
  insertPasskey,
  passkeyByCredential,
  type PasskeyRow,
  passkeysOf,
  takeChallenge,
} from './passkey-queries.ts';
import type { RelyingParty } from './relying-party.ts';

const challengeMs = 5 * 60_000;
const mostPerUser = 20;
/** EdDSA, ES256, RS256, by their numbers in COSE: named, as the default asks the runtime for experimental ones. */
const algorithms = [-8, -7, -257];

/** Loaded when somebody uses a passkey: it takes a fifth of a second of every start, of each command too. */
const webauthn = () => import('@simplewebauthn/server');

export interface PasskeyDeps {
  readonly relyingParty: RelyingParty;
}

/** What a browser needs to make a passkey for a user. The challenge in it counts once, for five minutes. Refuses `too_many`. */
export async function passkeyRegistration(
  db: Queryable,
  { userId, email, displayName, now }: { userId: string; email: string; displayName: string; now: Date },
  { relyingParty }: PasskeyDeps,
) {
  const present = await passkeysOf(db, userId);
  if (present.length >= mostPerUser) throw refuse('too_many', { most: mostPerUser });
  const { generateRegistrationOptions } = await webauthn();
  const options = await generateRegistrationOptions({
    rpName: 'Find Me a Hot Lead',
    rpID: relyingParty.id,
    userID: handleOf(userId),
    userName: email,
    userDisplayName: displayName,
    attestationType: 'none',
    excludeCredentials: present.map(({ credential_id, transports }) => ({ id: credential_id, transports })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    supportedAlgorithmIDs: algorithms,
    timeout: challengeMs,
  });
  await giveOut(db, options.challenge, userId, now);
  return options;
}

/** What a browser needs to show any passkey it has for this site. The challenge in it counts once, for five minutes. */
export async function passkeyRequest(db: Queryable, now: Date, { relyingParty }: PasskeyDeps) {
  const { generateAuthenticationOptions } = await webauthn();
  const options = await generateAuthenticationOptions({
    rpID: relyingParty.id,
    userVerification: 'required',
    timeout: challengeMs,
  });
  await giveOut(db, options.challenge, null, now);
  return options;
}

async function giveOut(db: Queryable, challenge: string, userId: string | null, now: Date): Promise<void> {
  await insertChallenge(db, { challenge, userId, expiresAt: new Date(now.getTime() + challengeMs) });
}

export interface PasskeyDraft {
  readonly userId: string;
  readonly name: string;
  readonly credential: RegisteredCredential;
  readonly now: Date;
}

/**
 * Stores the passkey a browser has made, if its user was verified. The challenge is used up in any case that commits, so a caller
 * commits also when it answers undefined: that is for a credential which is not what was asked for. Refuses `already_enrolled`.
 */
export async function addPasskey(
  tx: Tx,
  { userId, name, credential, now }: PasskeyDraft,
  { relyingParty }: PasskeyDeps,
): Promise<PasskeyRow | undefined> {
  const challenge = challengeOf(credential.response.clientDataJSON);
  if (challenge === undefined || !(await takeChallenge(tx, { challenge, userId, now }))) return undefined;
  const { verifyRegistrationResponse } = await webauthn();
  const verified = await judged(() =>
    verifyRegistrationResponse({
      response: { ...credential, clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: relyingParty.origin,
      expectedRPID: relyingParty.id,
      requireUserVerification: true,
      supportedAlgorithmIDs: algorithms,
    }),
  );
  if (!verified?.verified) return undefined;
  const { id: credentialId, publicKey, counter: signCount } = verified.registrationInfo.credential;
  const { transports = [] } = credential.response;
  const draft = { userId, name, credentialId, publicKey: Buffer.from(publicKey), signCount, transports };
  const row = await insertPasskey(tx, draft);
  if (!row) throw refuse('already_enrolled');
  return row;
}

/** A passkey that someone has. */
export interface FoundPasskey {
  readonly userId: string;
  /** Its user was verified and its signature count moved on; not so when it is not what was asked for or counts backwards. */
  readonly isRight: boolean;
}

/**
 * Whose passkey was shown, and whether rightly so; undefined when it is nobody's, or its challenge is not ours, old or used. Each challenge
 * counts once, whatever comes of it: give a `db` that commits.
 */
export async function verifyPasskey(
  db: Queryable,
  { credential, now }: { credential: ShownCredential; now: Date },
  { relyingParty }: PasskeyDeps,
): Promise<FoundPasskey | undefined> {
  const challenge = challengeOf(credential.response.clientDataJSON);
  if (challenge === undefined || !(await takeChallenge(db, { challenge, userId: null, now }))) return undefined;
  const row = await passkeyByCredential(db, credential.id);
  if (!row) return undefined;
  const signCount = await signCountShown(row, credential, { challenge, relyingParty });
  const isRight = signCount !== undefined && (await advancePasskey(db, { id: row.id, signCount, now }));
  return { userId: row.user_id, isRight };
}

/** Undefined when the credential is not what was asked for. */
async function signCountShown(
  row: PasskeyRow,
  credential: ShownCredential,
  { challenge, relyingParty }: PasskeyDeps & { challenge: string },
): Promise<number | undefined> {
  const { userHandle, ...response } = credential.response;
  if (!isHandleOf(row.user_id, userHandle)) return undefined;
  const { verifyAuthenticationResponse } = await webauthn();
  const verified = await judged(() =>
    verifyAuthenticationResponse({
      response: { ...credential, response, clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: relyingParty.origin,
      expectedRPID: relyingParty.id,
      credential: { id: row.credential_id, publicKey: new Uint8Array(row.public_key), counter: row.sign_count },
      requireUserVerification: true,
    }),
  );
  return verified?.verified ? verified.authenticationInfo.newCounter : undefined;
}

/** The library throws for whatever does not fit; that is a "no" of the same kind as a wrong signature. */
async function judged<T>(verify: () => Promise<T>): Promise<T | undefined> {
  try {
    return await verify();
  } catch {
    return undefined;
  }
}

/** What the authenticator says it was asked; whether we asked it is in the database. */
function challengeOf(clientDataJson: string): string | undefined {
  try {
    const { challenge } = JSON.parse(Buffer.from(clientDataJson, 'base64url').toString('utf8')) as {
      challenge?: unknown;
    };
    return typeof challenge === 'string' && /^[\w-]{16,200}$/.test(challenge) ? challenge : undefined;
  } catch {
    return undefined;
  }
}

/** An authenticator keeps this beside the key and shows it with it: no address, no name. */
function handleOf(userId: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(userId.replaceAll('-', ''), 'hex'));
}

function isHandleOf(userId: string, handle: string | null | undefined): boolean {
  return handle === null || handle === undefined || Buffer.from(handleOf(userId)).toString('base64url') === handle;
}
