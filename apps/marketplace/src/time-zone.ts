import { z } from 'zod';

/** A zone of the IANA list, such as `America/Chicago`. Postgres has the last word, when the row is written. */
export const timeZone = z
  .string()
  .max(64)
  .regex(/^[A-Za-z]\w*(\/[\w+-]+)*$/, 'must be a time zone such as America/Chicago')
  .refine(isKnown, 'must be a time zone such as America/Chicago');

function isKnown(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone.length > 0;
  } catch {
    return false;
  }
}
