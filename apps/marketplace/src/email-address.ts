import { z } from 'zod';

/** The form under which two spellings of one address are the same: trimmed, NFKC, lower case. */
export function normaliseEmail(text: string): string {
  return text.normalize('NFKC').trim().toLowerCase();
}

const expected = 'must be an e-mail address, such as name@example.com';

/**
 * An address as people type it, at most 254 characters. Line ends, NUL and characters outside printable ASCII are refused:
 * mail headers are made of it.
 */
export const emailAddress = z.string(expected).trim().max(254, expected).pipe(z.email(expected));

/** Enough of an address to tell two apart, not enough to write to it: `j…@example.com`. */
export function maskEmail(email: string): string {
  return `${email.slice(0, 1)}…${email.slice(email.lastIndexOf('@'))}`;
}
