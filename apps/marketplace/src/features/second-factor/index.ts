export { type Factor, factorsOf, removeSecondFactor } from './factors.ts';
export { makeRecoveryCodes, useRecoveryCode } from './recovery-codes.ts';
export { confirmTotp, enrolTotp, provisionTotp, verifyTotp } from './totp-factor.ts';
export { createTotpSecret, totpCode } from './totp.ts';
