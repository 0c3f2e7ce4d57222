export { type Factor, factorsOf, removeAllFactors, removeSecondFactor } from './factors.ts';
export { deleteOldChallenges, deletePasskey, type PasskeyRow, passkeysOf } from './passkey-queries.ts';
export { addPasskey, type PasskeyDeps, passkeyRegistration, passkeyRequest, verifyPasskey } from './passkeys.ts';
export { makeRecoveryCodes, useRecoveryCode } from './recovery-codes.ts';
export { resealSecrets } from './reseal.ts';
export { relyingPartyOf } from './relying-party.ts';
export { confirmTotp, enrolTotp, provisionTotp, verifyTotp } from './totp-factor.ts';
export { createTotpSecret, totpCode } from './totp.ts';
