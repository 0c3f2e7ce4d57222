import { generateSecret, generateSync, generateURI, verifySync } from 'otplib';

/** One code stands for this long, in ms. */
export const stepMs = 30_000;

/** A new secret: 160 random bits in base32. */
export function createTotpSecret(): string {
  return generateSecret();
}

/** The address that authenticator apps read from a QR code. Whoever draws the code must do so without a third party. */
export function otpauthUrl(secret: string, email: string): string {
  return generateURI({ issuer: 'Find Me a Hot Lead', label: email, secret });
}

/** The six digits of a secret at a time. */
export function totpCode(secret: string, at: Date): string {
  return generateSync({ secret, epoch: Math.floor(at.getTime() / 1000) });
}

/**
 * The time step whose code this is, of the present one and its two neighbours; undefined when it is none of theirs. The neighbours allow
 * for a clock that is half a minute off. Pure: whether the step was used before is for the caller to settle.
 */
export function totpStep(secret: string, code: string, now: Date): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined;
  const epoch = Math.floor(now.getTime() / 1000);
  const verdict = verifySync({ secret, token: code, epoch, epochTolerance: stepMs / 1000 });
  return verdict.valid && 'timeStep' in verdict ? verdict.timeStep : undefined;
}
