import { z } from 'zod';

/** The form under which two spellings of one address are the same: trimmed, NFKC, lower case. */
export function normaliseEmail(text: string): string {
  return text.normalize('NFKC').trim().toLowerCase();
}

/**
 * An address as people type it, at most 254 characters. Line ends, NUL and characters outside printable ASCII are refused:
 * mail headers are made of it.
 */
export const emailAddress = z.string().trim().max(254).pipe(z.email());
