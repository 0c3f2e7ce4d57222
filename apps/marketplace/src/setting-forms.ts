import { isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';

/** One setting: the raw text comes from its flag, else its variable, else `default`. */
export interface Setting {
  env: string;
  flag?: string;
  /** Parses the text; its message says what was expected. */
  schema: z.ZodType<unknown, string>;
  default?: string;
  /** Said in the reference in place of a default that is worked out. */
  defaultMeaning?: string;
  /** Its value is never shown. */
  secret?: true;
  describe: string;
}

/* Forms of settings: each parses its text, and says what was expected. */

export function wholeNumber(least: number, most: number) {
  const expected = most === Number.MAX_SAFE_INTEGER ? `a whole number from ${least}` : `a number ${least}–${most}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, expected)
    .transform(Number)
    .refine((value) => value >= least && value <= most, expected);
}

export function share() {
  const expected = 'a number 0–1';
  return z
    .string()
    .regex(/^\d*\.?\d+$/, expected)
    .transform(Number)
    .refine((value) => value <= 1, expected);
}

export function choice<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, `one of ${values.join(', ')}`);
}

export function address(protocols: readonly string[], example: string) {
  const expected = `an address like ${example}`;
  return z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), expected);
}

export const flag = () => z.stringbool({ error: 'true or false' });
export const text = (expected: string) => z.string().min(1, expected);
export const port = () => wholeNumber(0, 65535);
export const milliseconds = (least: number) => wholeNumber(least, 86_400_000);

function isNetwork(entry: string): boolean {
  const [ip = '', prefix, ...rest] = entry.split('/');
  if (rest.length > 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) return false;
  return (isIPv4(ip) && Number(prefix ?? 32) <= 32) || (isIPv6(ip) && Number(prefix ?? 128) <= 128);
}

export const networks = z
  .string()
  .transform((list) => list.split(',').map((entry) => entry.trim()))
  .refine((entries) => entries.every(isNetwork), 'networks like 10.0.0.0/8,::1/128');

export const hosts = z
  .string()
  .transform((list) => list.split(',').map((entry) => entry.trim()))
  .refine((names) => names.every((name) => /^[\w-]+(\.[\w-]+)*$/.test(name)), 'host names without port');

export const redisAddress = z
  .string()
  .refine(
    (url) => url.startsWith('/') || /^rediss?:\/\/[^/]/.test(url),
    'an address like redis://host:6379, or the path of a socket',
  );
