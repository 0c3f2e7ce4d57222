import { z } from 'zod';

/** Text a person typed: trimmed, `min` to `max` characters after that, storable (no NUL, no half of a surrogate pair). */
export function cleanText(min: number, max: number) {
  return z
    .string()
    .trim()
    .min(min)
    .max(max)
    .refine((text) => !text.includes('\u0000') && text.isWellFormed(), 'must not hold NUL or lone surrogates');
}

/** The same on one line: no control characters at all. For names, sources, anything that may stand in a header or a cell. */
export function cleanLine(min: number, max: number) {
  // oxlint-disable-next-line eslint/no-control-regex -- control characters are what it refuses
  return cleanText(min, max).regex(/^[^\u0000-\u001f\u007f]*$/, 'must be one line without control characters');
}
